package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
)

type uploadArgs struct {
	targetFlags

	AssetName  string   `name:"asset-name" placeholder:"NAME" help:"What the one file is to be called; by default as it is."`
	Unfinished bool     `name:"unfinished" help:"Leave the version open for more files."`
	Files      []string `arg:"" name:"file" help:"Files to send; a folder stands for the files in it, - for standard input."`
}

func uploadCommand() command {
	args := &uploadArgs{}
	return command{
		name: "upload", group: transferGroup, args: args,
		help: "Publish files as a version of a generic package: in parts at a time, sending only what the server does not have yet.",
		run: func(ctx context.Context, env *Env) error {
			return brokenOff(ctx, upload(ctx, env, args))
		},
	}
}

func upload(ctx context.Context, env *Env, args *uploadArgs) error {
	if err := args.check(); err != nil {
		return err
	}
	if args.Namespace == "" {
		return usagef("--namespace: generic packages have one")
	}
	files, err := outgoingFiles(args.Files, args.AssetName)
	if err != nil {
		return err
	}
	service, ok := serviceNamed(env, "codeartifact")
	if !ok {
		return errors.New("this build has no codeartifact operations")
	}
	api, err := dial(ctx, env, args.clientFlags, service)
	if err != nil {
		return err
	}
	t, err := newTransfer(ctx, env, api, &args.targetFlags)
	if err != nil {
		return err
	}
	u := &uploading{transfer: t, env: env, args: args, partSize: int64(args.PartSize)}
	return u.all(ctx, files)
}

// outgoing is a file to be sent.
type outgoing struct {
	name, path string // path is empty for standard input
	size       int64
	manifest   manifest
	status     string // of the version, as the server said last
	skipped    bool   // the server had it
}

// manifest is what the endpoint takes to put a file together.
type manifest struct {
	SHA256 string          `json:"sha256"`
	Parts  []manifestEntry `json:"parts"`
}

type manifestEntry struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// outgoingFiles finds the files that arguments mean, in their order, those of a
// folder by name.
func outgoingFiles(args []string, assetName string) (files []*outgoing, err error) {
	for _, arg := range args {
		if arg == "-" {
			files = append(files, &outgoing{})
			continue
		}
		info, err := os.Stat(arg)
		if err != nil {
			return nil, usageError{err}
		}
		if !info.IsDir() {
			files = append(files, &outgoing{path: arg, name: filepath.Base(arg)})
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := filepath.Join(arg, e.Name())
			info, err := os.Stat(path) // what a link leads to
			if err != nil {
				return nil, err
			}
			if !info.Mode().IsRegular() {
				return nil, usagef("%s is not a file: a version holds files side by side, so pack it, or name the files to send", path)
			}
			files = append(files, &outgoing{path: path, name: e.Name()})
		}
	}
	switch {
	case len(files) == 0:
		return nil, usagef("there is no file to send")
	case assetName != "" && len(files) != 1:
		return nil, usagef("--asset-name is for one file")
	case assetName != "":
		files[0].name = assetName
	}
	seen := map[string]bool{}
	for _, f := range files {
		if f.name == "" {
			return nil, usagef("--asset-name: standard input needs one, and has to be the only file")
		}
		if seen[f.name] {
			return nil, usagef("two files are called %s", f.name)
		}
		seen[f.name] = true
	}
	return files, nil
}

type uploading struct {
	*transfer

	env      *Env
	args     *uploadArgs
	bars     progress
	partSize int64
}

// all sends every file and then finishes the version, so that nobody sees it
// with some of its files.
func (u *uploading) all(ctx context.Context, files []*outgoing) error {
	u.bars = newProgress(u.env.Stderr)
	open := u.args.Unfinished || len(files) > 1
	errs := make([]error, len(files))
	var g errgroup.Group
	g.SetLimit(cap(u.slots))
	for i, f := range files {
		g.Go(func() error {
			if errs[i] = u.one(ctx, f, open); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", f.name, errs[i])
			}
			return nil
		})
	}
	_ = g.Wait()
	u.bars.wait()
	sent := 0
	for i, f := range files {
		if errs[i] == nil {
			sent++
			note := "sent"
			if f.skipped {
				note = "there already"
			}
			fmt.Fprintf(u.env.Stdout, "%s\t%s\tsha256:%s\t%s\n", f.name, bytesText(f.size), f.manifest.SHA256, note)
		}
	}
	if err := errors.Join(errs...); err != nil {
		if sent > 0 && ctx.Err() == nil {
			err = fmt.Errorf("%w\n%d of %d files are there and version %s is not finished; the same command sends what is missing and finishes it", err, sent, len(files), &u.args.targetFlags)
		}
		return err
	}
	last := files[len(files)-1]
	if open && !u.args.Unfinished {
		if _, err := u.assemble(ctx, last, false); err != nil {
			return fmt.Errorf("all files are there, but version %s cannot be finished: %w", &u.args.targetFlags, err)
		}
	}
	fmt.Fprintf(u.env.Stdout, "%s is %s in repository %s\n", &u.args.targetFlags, last.status, u.args.Repository)
	return nil
}

// askFrom is the size from which asking whether a file is there is cheaper than
// sending it.
const askFrom = 1 << 20

// one sends one file, if it has to be.
func (u *uploading) one(ctx context.Context, f *outgoing, open bool) error {
	if f.path == "" {
		return u.stream(ctx, f, open)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file; pipe it in as - with --asset-name")
	}
	f.size = info.Size()
	partSize := fittingPart(f.size, u.partSize)
	if f.manifest, err = manifestOf(ctx, file, f.size, partSize); err != nil {
		return err
	}
	b := u.bars.bar(f.name, f.size)
	defer b.end()
	if f.size <= askFrom {
		return u.put(ctx, f, open, file, b)
	}
	missing, err := u.assemble(ctx, f, open)
	if err != nil || len(missing) == 0 {
		f.skipped = err == nil
		return err
	}
	if len(f.manifest.Parts) == 1 {
		return u.put(ctx, f, open, file, b)
	}
	return u.rounds(ctx, f, open, missing, func(ctx context.Context, missing []string) error {
		return u.parts(ctx, f, file, partSize, missing, b)
	})
}

// maxManifest is how many parts the endpoint takes.
const maxManifest = 10_000

// fittingPart makes parts larger where there would be too many. The size
// depends on nothing but the two numbers: going on has to cut as before.
func fittingPart(size, partSize int64) int64 {
	for size > partSize*maxManifest {
		partSize *= 2
	}
	return partSize
}

// manifestOf reads a file for its hashes.
func manifestOf(ctx context.Context, r io.ReaderAt, size, partSize int64) (m manifest, err error) {
	whole := sha256.New()
	for from := int64(0); from < size || from == 0; from += partSize {
		n := min(partSize, size-from)
		part := sha256.New()
		read, err := io.Copy(io.MultiWriter(whole, part), untilDone{ctx, io.NewSectionReader(r, from, n)})
		if err != nil {
			return m, err
		}
		if read != n {
			return m, errChanged
		}
		m.Parts = append(m.Parts, manifestEntry{hex.EncodeToString(part.Sum(nil)), n})
	}
	m.SHA256 = hex.EncodeToString(whole.Sum(nil))
	return m, nil
}

var errChanged = lasting{errors.New("it has changed while it was being sent; send it again when it is complete")}

// rounds sends missing parts and has the file put together until none is
// missing: parts may be forgotten on the way, by another upload of other bytes
// under the same name.
func (u *uploading) rounds(ctx context.Context, f *outgoing, open bool, missing []string, send func(ctx context.Context, missing []string) error) error {
	const most = 5
	for range most {
		if err := send(ctx, missing); err != nil {
			return err
		}
		var err error
		if missing, err = u.assemble(ctx, f, open); err != nil || len(missing) == 0 {
			return err
		}
	}
	return fmt.Errorf("the server still lacks %d parts; is something else being sent under the same name?", len(missing))
}

// parts sends those parts of a file that are missing.
func (u *uploading) parts(ctx context.Context, f *outgoing, file *os.File, partSize int64, missing []string, b *bar) error {
	lacks := map[string]bool{}
	for _, sha := range missing {
		lacks[sha] = true
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cap(u.slots))
	for i, p := range f.manifest.Parts {
		if !lacks[p.SHA256] {
			b.add(p.Size)
			continue
		}
		delete(lacks, p.SHA256) // once is enough
		if ctx.Err() != nil {
			break
		}
		from := int64(i) * partSize
		g.Go(func() error {
			return u.part(ctx, f, p, func() io.Reader { return io.NewSectionReader(file, from, p.Size) }, b)
		})
	}
	return g.Wait()
}

// part sends one part.
func (u *uploading) part(ctx context.Context, f *outgoing, p manifestEntry, body func() io.Reader, b *bar) error {
	address := u.address(&u.args.targetFlags, f.name) + "?part=" + p.SHA256
	return u.body(ctx, address, nil, p.Size, body, b, nil)
}

// put sends a whole file in one request.
func (u *uploading) put(ctx context.Context, f *outgoing, open bool, r io.ReaderAt, b *bar) error {
	address := u.address(&u.args.targetFlags, f.name)
	if open {
		address += "?unfinished=true"
	}
	h := http.Header{"X-Amz-Content-Sha256": {f.manifest.SHA256}}
	return u.body(ctx, address, h, f.size, func() io.Reader { return io.NewSectionReader(r, 0, f.size) }, b, &f.status)
}

// body sends bytes to an address, again when that fails for a while.
func (u *uploading) body(ctx context.Context, address string, h http.Header, size int64, body func() io.Reader, b *bar, status *string) error {
	return u.again(ctx, func(ctx context.Context) (bool, error) {
		ctx, g := u.watch(ctx)
		defer g.stop()
		var mu sync.Mutex // the transport may read on for a moment after it has answered
		var sent int64
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			sent += int64(n)
			b.add(int64(n))
			if g.awake(); sent == size {
				g.asleep() // the server writes it to its disk
			}
		}
		back := func() {
			mu.Lock()
			defer mu.Unlock()
			b.add(-sent)
			sent = 0
		}
		resp, err := u.send(ctx, http.MethodPut, address, h, size, func() io.Reader { back(); return &countedReader{body(), count} })
		if err != nil {
			back()
			return false, err
		}
		return true, readStatusOf(resp, status)
	})
}

type countedReader struct {
	r     io.Reader
	count func(n int)
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.count(n)
	return n, err
}

// readStatusOf reads what has become of the version.
func readStatusOf(resp *http.Response, status *string) error {
	defer resp.Body.Close()
	var out struct {
		Status string `json:"status"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || status == nil {
		return err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return lasting{fmt.Errorf("the answer of the server is not what this program knows: %w", err)}
	}
	*status = out.Status
	return nil
}

// assemble has a file put together, or learns which parts are missing.
func (u *uploading) assemble(ctx context.Context, f *outgoing, open bool) (missing []string, err error) {
	text, err := json.Marshal(f.manifest)
	if err != nil {
		return nil, err
	}
	address := u.address(&u.args.targetFlags, f.name) + "?parts"
	if open {
		address += "&unfinished=true"
	}
	h := http.Header{"Content-Type": {"application/json"}}
	err = u.again(ctx, func(ctx context.Context) (bool, error) {
		// No guard: putting five gigabytes together takes a while.
		resp, err := u.send(ctx, http.MethodPost, address, h, int64(len(text)), func() io.Reader { return bytes.NewReader(text) })
		if err != nil {
			return false, err
		}
		if resp.StatusCode != http.StatusAccepted {
			return true, readStatusOf(resp, &f.status)
		}
		defer resp.Body.Close()
		var out struct {
			Missing []string `json:"missing"`
		}
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
			return false, err
		}
		missing = out.Missing
		return true, nil
	})
	return missing, err
}

// stream sends standard input, whose size nobody knows: blocks of the size of a
// part are read and sent while the next are read, and the list comes last.
func (u *uploading) stream(ctx context.Context, f *outgoing, open bool) error {
	b := u.bars.bar(f.name, -1)
	defer b.end()
	blocks := make(chan []byte, cap(u.slots)) // bounds the memory: one block for each request
	for range cap(blocks) {
		blocks <- nil
	}
	whole := sha256.New()
	g, sending := errgroup.WithContext(ctx)
	for sending.Err() == nil {
		var block []byte
		select {
		case block = <-blocks:
		case <-sending.Done():
			continue
		}
		if block == nil {
			block = make([]byte, u.partSize)
		}
		n, err := io.ReadFull(untilDone{sending, u.env.Stdin}, block)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return cmp.Or(g.Wait(), fmt.Errorf("read standard input: %w", err))
		}
		whole.Write(block[:n])
		f.size += int64(n)
		if n > 0 || len(f.manifest.Parts) == 0 {
			sum := sha256.Sum256(block[:n])
			p := manifestEntry{hex.EncodeToString(sum[:]), int64(n)}
			f.manifest.Parts = append(f.manifest.Parts, p)
			if end && len(f.manifest.Parts) == 1 {
				f.manifest.SHA256 = p.SHA256
				return u.put(ctx, f, open, bytes.NewReader(block[:n]), b)
			}
			if len(f.manifest.Parts) > maxManifest {
				return cmp.Or(g.Wait(), usagef("standard input is more than %d parts; give a larger --part-size", maxManifest))
			}
			g.Go(func() error {
				defer func() { blocks <- block }()
				return u.part(sending, f, p, func() io.Reader { return bytes.NewReader(block[:n]) }, b)
			})
		}
		if end {
			break
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	f.manifest.SHA256 = hex.EncodeToString(whole.Sum(nil))
	missing, err := u.assemble(ctx, f, open)
	if err == nil && len(missing) > 0 {
		err = errors.New("the server has lost parts of it; send it again")
	}
	return err
}
