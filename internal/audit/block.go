package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
	"packhouse/internal/catalog"
	"packhouse/internal/identity"
	"packhouse/internal/policy"
)

// A stored block is
//
//	version, records, time of the first in microseconds, length of the packed
//	        part unpacked and as it is
//	packed: the rows of three tables (who, what, outcome), then of each record
//	        the time since the one before and its three rows
//	ids: 16 bytes of each record
//
// in unsigned varints, times between records signed. Rows are strings and
// numbers one after the other; what a row lacks at its end is empty, so fields
// may be added.

const blockVersion = 1

// Bounds of what is kept of text that clients choose, in bytes.
const (
	maxAgent   = 256
	maxPath    = 1024
	maxName    = 256
	maxMessage = 512
	maxJSON    = 8 << 10
)

// MaxVersions bounds the versions of one record: as many as a call may name.
const MaxVersions = 100

// maxTables is where a block ends, in bytes of its tables: far below what open
// reads, and the rows of one record more do not matter.
const maxTables = 16 << 20

// who is a row of the first table: who called, from where, with what.
type who struct {
	kind                                         policy.PrincipalType
	arn, account, userID, userName, roleARN, key string
	began                                        int64 // of the session, microseconds
	token                                        bool  // came with a token for packages
	agent, client                                string
}

// what is a row of the second: what was asked for.
type what struct {
	source, event, method                    string
	readOnly                                 bool
	owner, domain, repository, administrator string
	c                                        artifact.Coordinates
	version                                  string
	versions                                 []string
	path, parameters                         string
}

// outcome is a row of the third: how it ended.
type outcome struct {
	status                  int
	code, message, response string
	unknown                 bool // the server stopped before it answered
}

// whoKey finds the row of a caller: a Subject never changes.
type whoKey struct {
	subject *identity.Subject
	client  netip.Addr
	agent   string
}

// place is a row of what was asked for, with the next one of the same path.
type place struct {
	row  int
	what what
	next int // place, -1 at the end
}

// table holds encoded rows.
type table struct {
	n    int
	data []byte
}

// block collects records. It is not safe for concurrent use.
type block struct {
	n           int
	first, last int64 // microseconds; of all records
	previous    int64
	base        int64

	whos, whats, outcomes table
	records, ids          []byte
	settled               []ID // of witnessed records: their pending rows may go when the block is written

	// Rows by what they were made of; nil in a block that is folded.
	byCaller  map[whoKey]int
	byPath    map[string]int // place
	places    []place
	byOutcome map[outcome]int
	caller    whoKey // the one before
	callerRow int
	byStatus  [600]int32 // one more than the row of the outcome that is a status and nothing else
}

func newBlock() *block {
	return &block{
		byCaller: map[whoKey]int{}, byPath: map[string]int{}, byOutcome: map[outcome]int{}, callerRow: -1,
		records: make([]byte, 0, 8<<10), ids: make([]byte, 0, 16<<10),
	}
}

const keepRows = 2048 // of tables kept for the next block

// reset empties a block for the next records.
func (b *block) reset() *block {
	if b.whats.n > keepRows || b.whos.n > keepRows || b.outcomes.n > keepRows {
		return newBlock() // a burst does not keep its memory
	}
	clear(b.byCaller)
	clear(b.byPath)
	clear(b.byOutcome)
	clear(b.places)
	*b = block{
		byCaller: b.byCaller, byPath: b.byPath, byOutcome: b.byOutcome, places: b.places[:0], callerRow: -1,
		whos: table{data: b.whos.data[:0]}, whats: table{data: b.whats.data[:0]}, outcomes: table{data: b.outcomes.data[:0]},
		records: b.records[:0], ids: b.ids[:0], settled: b.settled[:0],
	}
	return b
}

func (b *block) add(e *Entry) {
	if e.long() {
		e = e.clipped()
	}
	b.append(e.Time.UnixMicro(), b.whoOf(e), b.whatOf(e), b.outcomeOf(e), e.ID)
	if e.Witnessed {
		b.settled = append(b.settled, e.ID)
	}
}

// append adds a record whose rows are in the tables.
func (b *block) append(at int64, who, what, outcome int, id ID) {
	if b.n == 0 {
		b.base, b.previous, b.first, b.last = at, at, at, at
	}
	b.first, b.last = min(b.first, at), max(b.last, at)
	b.records = binary.AppendVarint(b.records, at-b.previous)
	b.records = binary.AppendUvarint(b.records, uint64(who))
	b.records = binary.AppendUvarint(b.records, uint64(what))
	b.records = binary.AppendUvarint(b.records, uint64(outcome))
	b.ids = append(b.ids, id[:]...)
	b.previous = at
	b.n++
}

// size is what the tables take, in bytes.
func (b *block) size() int { return len(b.whos.data) + len(b.whats.data) + len(b.outcomes.data) }

// isFull tells whether no record should be added any more.
func (b *block) isFull() bool { return b.n >= blockRecords || b.size() >= maxTables }

func (b *block) whoOf(e *Entry) int {
	key := whoKey{e.Subject, e.Client, e.Agent}
	if b.callerRow >= 0 && key == b.caller {
		return b.callerRow
	}
	row, ok := b.byCaller[key]
	if !ok {
		row = b.whos.add(newWho(e).append)
		key.agent = strings.Clone(key.agent)
		b.byCaller[key] = row
	}
	b.caller, b.callerRow = key, row
	return row
}

func newWho(e *Entry) who {
	w := who{agent: e.Agent}
	if e.Client.IsValid() {
		w.client = e.Client.String()
	}
	if s := e.Subject; s != nil {
		p := &s.Principal
		w.kind, w.arn, w.account, w.userID, w.userName, w.roleARN = p.Type, p.ARN, p.Account, p.UserID, p.UserName, p.RoleARN
		if p.Type == policy.Federated { // of no account; the one that trusts the issuer receives the record
			if provider, err := arn.Parse(p.ARN); err == nil {
				w.account = provider.Account
			}
		}
		w.key, w.token = s.AccessKeyID, s.Token.Owner != ""
		if !s.Session.Began.IsZero() {
			w.began = s.Session.Began.UnixMicro()
		}
	}
	return w
}

// maxSteps bounds the search for an equal row among those of one path: requests
// wait for it, and a row too many costs little.
const maxSteps = 64

func (b *block) whatOf(e *Entry) int {
	if e.Parameters != "" { // a row of its own: hardly any two are equal
		return b.whats.add(newWhat(e).append)
	}
	head, ok := b.byPath[e.Path]
	if !ok {
		head = -1
	}
	for i, steps := head, 0; i >= 0 && steps < maxSteps; i, steps = b.places[i].next, steps+1 {
		p := &b.places[i]
		if w := &p.what; w.event == e.Event && w.method == e.Method && w.repository == e.Repository && w.domain == e.Domain && w.owner == e.Owner &&
			w.version == e.Version && w.c == e.Package && w.administrator == e.Administrator && w.source == e.Source && w.readOnly == e.ReadOnly &&
			slices.Equal(w.versions, e.Versions) {
			return p.row
		}
	}
	w := newWhat(e)
	row := b.whats.add(w.append)
	w = w.clone()
	b.places = append(b.places, place{row, w, head})
	b.byPath[w.path] = len(b.places) - 1
	return row
}

func newWhat(e *Entry) what {
	return what{
		source: e.Source, event: e.Event, method: e.Method, readOnly: e.ReadOnly,
		owner: e.Owner, domain: e.Domain, repository: e.Repository, administrator: e.Administrator,
		c: e.Package, version: e.Version, versions: e.Versions, path: e.Path, parameters: e.Parameters,
	}
}

// clone has text of its own: that of a request keeps the whole URL in memory.
func (w what) clone() what {
	for _, s := range [...]*string{&w.owner, &w.domain, &w.repository, &w.administrator, &w.c.Namespace, &w.c.Name, &w.version, &w.path} {
		*s = strings.Clone(*s)
	}
	w.versions = slices.Clone(w.versions)
	for i, s := range w.versions {
		w.versions[i] = strings.Clone(s)
	}
	return w
}

func (b *block) outcomeOf(e *Entry) int {
	o := outcome{status: e.Status, code: e.Code, message: e.Message, response: e.Response}
	if plain := e.Code == "" && e.Response == "" && uint(e.Status) < uint(len(b.byStatus)); plain {
		if b.byStatus[e.Status] == 0 {
			b.byStatus[e.Status] = int32(b.outcomes.add(o.append)) + 1
		}
		return int(b.byStatus[e.Status]) - 1
	}
	row, ok := b.byOutcome[o]
	if !ok {
		row = b.outcomes.add(o.append)
		o.message = strings.Clone(o.message)
		b.byOutcome[o] = row
	}
	return row
}

// add appends a row; its number comes back.
func (t *table) add(row func([]byte) []byte) int {
	begin := len(t.data)
	t.data = append(t.data, 0, 0, 0, 0) // its length
	t.data = row(t.data)
	binary.LittleEndian.PutUint32(t.data[begin:], uint32(len(t.data)-begin-4))
	t.n++
	return t.n - 1
}

// rows are the rows of a table.
func (t *table) rows() [][]byte {
	rows := make([][]byte, 0, t.n)
	for rest := t.data; len(rest) > 0; {
		end := 4 + int(binary.LittleEndian.Uint32(rest))
		rows = append(rows, rest[4:end])
		rest = rest[end:]
	}
	return rows
}

func text(b []byte, s string, limit int) []byte {
	if len(s) > limit {
		s = s[:limit]
	}
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func number(b []byte, n int64) []byte { return binary.AppendUvarint(b, uint64(max(n, 0))) }

func flag(b []byte, on bool) []byte {
	if on {
		return append(b, 1)
	}
	return append(b, 0)
}

func (w who) append(b []byte) []byte {
	b = number(b, int64(w.kind))
	for _, s := range [...]string{w.arn, w.account, w.userID, w.userName, w.roleARN, w.key} {
		b = text(b, s, maxPath)
	}
	b = flag(number(b, w.began), w.token)
	return text(text(b, w.agent, maxAgent), w.client, maxName)
}

func (w what) append(b []byte) []byte {
	for _, s := range [...]string{w.source, w.event, w.method, w.owner, w.domain, w.repository, w.administrator, string(w.c.Format), w.c.Namespace, w.c.Name, w.version} {
		b = text(b, s, maxName)
	}
	b = flag(b, w.readOnly)
	b = text(text(b, w.path, maxPath), w.parameters, maxJSON)
	versions := w.versions[:min(len(w.versions), MaxVersions)]
	b = number(b, int64(len(versions)))
	for _, s := range versions {
		b = text(b, s, maxName)
	}
	return b
}

func (o outcome) append(b []byte) []byte {
	b = number(b, int64(o.status))
	b = text(text(text(b, o.code, maxName), o.message, maxMessage), o.response, maxJSON)
	return flag(b, o.unknown)
}

var packers = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool is shared by nature
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level exists
	}
	return w
}}

// row is the block as it is stored.
func (b *block) row() catalog.AccessBlock {
	var packed bytes.Buffer
	packer := packers.Get().(*flate.Writer) //nolint:forcetypeassert // the pool holds nothing else
	defer packers.Put(packer)
	packer.Reset(&packed)
	size := b.write(packer)
	_ = packer.Close() // a buffer does not fail
	return b.rowOf(size, packed.Bytes())
}

// quickRow is the block as it is stored for a short time: not compressed.
func (b *block) quickRow() catalog.AccessBlock {
	var plain bytes.Buffer
	size := b.write(&plain)
	const most = 1<<16 - 1 // bytes of a stored block of deflate (RFC 1951, section 3.2.4)
	packed := make([]byte, 0, size+5*(size/most+1))
	for rest := plain.Bytes(); len(rest) > 0; {
		part := rest[:min(len(rest), most)]
		rest = rest[len(part):]
		packed = flag(packed, len(rest) == 0) // the last one; not compressed
		packed = binary.LittleEndian.AppendUint16(packed, uint16(len(part)))
		packed = binary.LittleEndian.AppendUint16(packed, ^uint16(len(part)))
		packed = append(packed, part...)
	}
	return b.rowOf(size, packed)
}

// write writes the part of the block that is packed, to what does not fail; its
// length comes back.
func (b *block) write(to io.Writer) int {
	size := len(b.records)
	var head [3 * binary.MaxVarintLen64]byte
	for _, t := range [...]*table{&b.whos, &b.whats, &b.outcomes} {
		n := binary.PutUvarint(head[:], uint64(t.n))
		n += binary.PutUvarint(head[n:], uint64(len(t.data)))
		_, _ = to.Write(head[:n])
		size += n + len(t.data)
		_, _ = to.Write(t.data)
	}
	_, _ = to.Write(b.records)
	return size
}

// rowOf puts a stored block together of its packed part, which is size bytes
// when it is unpacked.
func (b *block) rowOf(size int, packed []byte) catalog.AccessBlock {
	data := make([]byte, 0, len(packed)+len(b.ids)+48)
	data = append(data, blockVersion)
	data = binary.AppendUvarint(data, uint64(b.n))
	data = binary.AppendVarint(data, b.base)
	data = binary.AppendUvarint(data, uint64(size))
	data = binary.AppendUvarint(data, uint64(len(packed)))
	data = append(data, packed...)
	data = append(data, b.ids...)
	return catalog.AccessBlock{FirstAt: time.UnixMicro(b.first).UTC(), LastAt: time.UnixMicro(b.last).UTC(), Records: b.n, Data: data}
}

// parts are the block as it is stored: in several when it is too big for one.
func (b *block) parts() []catalog.AccessBlock {
	if b.size() < 2*maxTables {
		return []catalog.AccessBlock{b.row()}
	}
	o := &opened{whos: b.whos.rows(), whats: b.whats.rows(), outcomes: b.outcomes.rows()}
	o.read(reader{data: b.records}, uint64(b.n), b.base, b.ids)
	var m merger
	m.take(o)
	var parts []catalog.AccessBlock
	for len(m.events) > 0 {
		part, _ := m.block(m.events)
		m.events = m.events[part.n:]
		parts = append(parts, part.row())
	}
	return parts
}

// event is one record of an opened block: its time and its rows.
type event struct {
	at                 int64 // microseconds
	who, what, outcome int32
	id                 ID
}

// opened is a block that has been read. Its rows are still encoded.
type opened struct {
	whos, whats, outcomes [][]byte
	events                []event
}

var errBroken = errors.New("a block of access records is broken")

const (
	maxPacked = 256 << 20 // bytes of a block's packed part when it is unpacked
	maxRatio  = 1100      // of packing: deflate cannot do better
	maxEvents = 4 << 20
)

// open reads a stored block.
func open(data []byte) (*opened, error) {
	if len(data) == 0 || data[0] != blockVersion {
		return nil, fmt.Errorf("%w: unknown version", errBroken)
	}
	r := reader{data: data[1:]}
	n, base, size, length := r.uint(), r.int(), r.uint(), r.uint()
	if r.failed || n > maxEvents || size > maxPacked || length > uint64(len(r.data)) || uint64(len(r.data))-length != 16*n || size/maxRatio > length {
		return nil, fmt.Errorf("%w: head", errBroken)
	}
	ids := r.data[length:]
	unpacked := make([]byte, size)
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(r.data[:length])), unpacked); err != nil {
		return nil, fmt.Errorf("%w: packing", errBroken)
	}
	r = reader{data: unpacked}
	o := &opened{}
	for _, t := range [...]*[][]byte{&o.whos, &o.whats, &o.outcomes} {
		*t = r.rows()
	}
	if !o.read(r, n, base, ids) {
		return nil, fmt.Errorf("%w: records", errBroken)
	}
	return o, nil
}

// read reads n records, the first at base but for its own time, and their ids;
// it tells whether they made sense.
func (o *opened) read(r reader, n uint64, base int64, ids []byte) bool {
	o.events = make([]event, 0, min(n, uint64(len(r.data))/4))
	at := base
	for i := range n {
		at += r.int()
		who, what, outcome := r.uint(), r.uint(), r.uint()
		if r.failed || who >= uint64(len(o.whos)) || what >= uint64(len(o.whats)) || outcome >= uint64(len(o.outcomes)) {
			return false
		}
		e := event{at: at, who: int32(who), what: int32(what), outcome: int32(outcome)}
		copy(e.id[:], ids[16*i:])
		o.events = append(o.events, e)
	}
	return true
}

// reader reads numbers and strings; what is not there is empty. failed says
// that something did not make sense.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.failed = r.failed || len(r.data) > 0
		r.data = nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.failed, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.data)) {
		r.failed, r.data = true, nil
		return ""
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}

// rows reads a table.
func (r *reader) rows() [][]byte {
	n, length := r.uint(), r.uint()
	if length > uint64(len(r.data)) || n > length/4 {
		r.failed, r.data = true, nil
		return nil
	}
	rest := r.data[:length]
	r.data = r.data[length:]
	rows := make([][]byte, 0, n)
	for range n {
		if len(rest) < 4 || uint64(binary.LittleEndian.Uint32(rest)) > uint64(len(rest)-4) {
			r.failed = true
			return nil
		}
		end := 4 + int(binary.LittleEndian.Uint32(rest))
		rows = append(rows, rest[4:end])
		rest = rest[end:]
	}
	return rows
}

func readWho(row []byte) (w who) {
	r := reader{data: row}
	w.kind = policy.PrincipalType(min(r.uint(), 255))
	for _, s := range [...]*string{&w.arn, &w.account, &w.userID, &w.userName, &w.roleARN, &w.key} {
		*s = r.text()
	}
	w.began = int64(r.uint() & (1<<62 - 1))
	w.token = r.uint() == 1
	w.agent, w.client = r.text(), r.text()
	return w
}

func readWhat(row []byte) (w what) {
	r := reader{data: row}
	var format string
	for _, s := range [...]*string{&w.source, &w.event, &w.method, &w.owner, &w.domain, &w.repository, &w.administrator, &format, &w.c.Namespace, &w.c.Name, &w.version} {
		*s = r.text()
	}
	w.c.Format = artifact.Format(format)
	w.readOnly = r.uint() == 1
	w.path, w.parameters = r.text(), r.text()
	for n := r.uint(); n > 0 && len(r.data) > 0; n-- {
		w.versions = append(w.versions, r.text())
	}
	return w
}

func readOutcome(row []byte) (o outcome) {
	r := reader{data: row}
	o.status = int(min(r.uint(), 999))
	o.code, o.message, o.response = r.text(), r.text(), r.text()
	o.unknown = r.uint() == 1
	return o
}
