package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"packhouse/internal/artifact"
)

type downloadArgs struct {
	targetFlags

	Format    string   `name:"format" default:"generic" placeholder:"FORMAT" help:"Format of the package; files of others than generic come whole, one request each."`
	Asset     []string `name:"asset" type:"words" placeholder:"NAME" help:"Files to get; by default all of the version."`
	OutputDir string   `name:"output-dir" default:"." placeholder:"DIR" help:"Folder the files go to; it is made when it is not there."`
	Output    string   `name:"output" placeholder:"FILE" help:"Where the one file of --asset goes; - is standard output."`
}

func downloadCommand() command {
	args := &downloadArgs{}
	return command{
		name: "download", group: transferGroup, args: args,
		help: "Get the files of a version: in parts at a time, verified, going on where an earlier run broke off.",
		run: func(ctx context.Context, env *Env) error {
			return brokenOff(ctx, download(ctx, env, args))
		},
	}
}

const transferGroup = "Files"

func download(ctx context.Context, env *Env, args *downloadArgs) error {
	if err := args.check(); err != nil {
		return err
	}
	switch {
	case args.Output != "" && len(args.Asset) != 1:
		return usagef("--output is for one file; name it with --asset, or give a folder with --output-dir")
	case args.Format == string(artifact.Generic) && args.Namespace == "":
		return usagef("--namespace: generic packages have one")
	}
	service, ok := serviceNamed(env, "codeartifact")
	if !ok {
		return errors.New("this build has no codeartifact operations")
	}
	api, err := dial(ctx, env, args.clientFlags, service)
	if err != nil {
		return err
	}
	d := &downloading{env: env, args: args, api: api}
	if args.Format == string(artifact.Generic) {
		if d.transfer, err = newTransfer(ctx, env, api, &args.targetFlags); err != nil {
			return err
		}
	} else {
		d.transfer = newTransferOver(env, api, &args.targetFlags)
	}
	files, err := d.find(ctx)
	if err != nil {
		return err
	}
	if args.Output == "-" {
		return d.pour(ctx, files[0], env.Stdout)
	}
	if info, err := os.Stat(args.Output); args.Output != "" && err == nil && !info.Mode().IsRegular() && !info.IsDir() { // a device, a pipe
		return d.pourInto(ctx, files[0], args.Output)
	}
	return d.all(ctx, files)
}

// incoming is a file to be downloaded.
type incoming struct {
	name   string
	size   int64
	sha256 string
	url    string // at the endpoint; empty: by the API, which gives no ranges
}

type downloading struct {
	*transfer

	env  *Env
	args *downloadArgs
	api  *apiClient
	bars progress
}

// find gives the files that were asked for, with the hashes they must have.
func (d *downloading) find(ctx context.Context) ([]incoming, error) {
	if d.base != "" && len(d.args.Asset) > 0 {
		files := make([]incoming, len(d.args.Asset))
		var g errgroup.Group
		for i, name := range d.args.Asset {
			g.Go(func() (err error) {
				files[i], err = d.head(ctx, name)
				return err
			})
		}
		return files, g.Wait()
	}
	listed, err := d.api.assets(ctx, d.args.named(d.args.Format))
	if err != nil {
		return nil, err
	}
	if d.base != "" {
		for i := range listed {
			listed[i].url = d.address(&d.args.targetFlags, listed[i].name)
		}
	}
	if len(d.args.Asset) == 0 {
		if len(listed) == 0 {
			return nil, fmt.Errorf("version %s has no files", &d.args.targetFlags)
		}
		return listed, nil
	}
	var files []incoming
	for _, name := range d.args.Asset {
		i := slices.IndexFunc(listed, func(f incoming) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("version %s has no file %s", &d.args.targetFlags, name)
		}
		files = append(files, listed[i])
	}
	return files, nil
}

// head asks the endpoint for size and hash of one file.
func (d *downloading) head(ctx context.Context, name string) (incoming, error) {
	f := incoming{name: name, url: d.address(&d.args.targetFlags, name)}
	err := d.again(ctx, func(ctx context.Context) (bool, error) {
		ctx, g := d.watch(ctx)
		defer g.stop()
		resp, err := d.send(ctx, http.MethodHead, f.url, nil, 0, nil)
		if err != nil {
			return false, err
		}
		f.size, f.sha256 = resp.ContentLength, strings.Trim(resp.Header.Get("Etag"), `"`)
		return true, resp.Body.Close()
	})
	if s, ok := errors.AsType[*statusError](err); ok && s.status == http.StatusNotFound {
		return f, fmt.Errorf("file %s of %s is not in repository %s, or its version is not Published", name, &d.args.targetFlags, d.args.Repository)
	}
	if err == nil && (f.size < 0 || !isSHA256(f.sha256)) {
		err = fmt.Errorf("the server does not tell size and SHA-256 of %s", name)
	}
	return f, err
}

func isSHA256(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == sha256.Size
}

// assets lists the files of a version.
func (c *apiClient) assets(ctx context.Context, in input) ([]incoming, error) {
	var files []incoming
	for {
		answer, err := c.named(ctx, "ListPackageVersionAssets", in)
		if err != nil {
			return nil, err
		}
		rows, _ := answer.values["assets"].([]any)
		for _, row := range rows {
			o, ok := row.(*object)
			if !ok {
				continue
			}
			f := incoming{name: o.text("name")}
			if n, ok := o.values["size"].(interface{ Int64() (int64, error) }); ok {
				if f.size, err = n.Int64(); err != nil {
					return nil, fmt.Errorf("size of %s: %w", f.name, err)
				}
			}
			if hashes, ok := o.values["hashes"].(*object); ok {
				f.sha256 = strings.ToLower(hashes.text("SHA-256"))
			}
			files = append(files, f)
		}
		next := answer.text("nextToken")
		if next == "" {
			return files, nil
		}
		in["NextToken"] = next
	}
}

// all downloads files into the folder, several at a time. One that fails does
// not stop the others.
func (d *downloading) all(ctx context.Context, files []incoming) error {
	paths := make([]string, len(files))
	for i, f := range files {
		switch path := d.args.Output; {
		case path != "":
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				return usagef("--output: %s is a folder; use --output-dir", path)
			}
			paths[i] = path
		case !filepath.IsLocal(f.name) || strings.ContainsAny(f.name, `/\`):
			return fmt.Errorf("file %q has a name that no folder can hold; get it alone, with --output", f.name)
		default:
			paths[i] = filepath.Join(d.args.OutputDir, f.name)
		}
		if err := os.MkdirAll(filepath.Dir(paths[i]), 0o777); err != nil { //nolint:gosec // as mkdir does; the umask decides
			return err
		}
	}
	d.bars = newProgress(d.env.Stderr)
	errs, notes := make([]error, len(files)), make([]string, len(files))
	var g errgroup.Group
	g.SetLimit(cap(d.slots))
	for i, f := range files {
		g.Go(func() error {
			if notes[i], errs[i] = d.file(ctx, f, paths[i]); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", f.name, errs[i])
			}
			return nil
		})
	}
	_ = g.Wait()
	d.bars.wait()
	for i, f := range files {
		if errs[i] == nil {
			fmt.Fprintf(d.env.Stdout, "%s\t%s\tsha256:%s\t%s\n", paths[i], bytesText(f.size), f.sha256, notes[i])
		}
	}
	return errors.Join(errs...)
}

// file downloads one file to path, where it appears whole and verified or not
// at all, and tells how that went.
func (d *downloading) file(ctx context.Context, f incoming, path string) (note string, err error) {
	if !isSHA256(f.sha256) {
		return "", errors.New("the server knows no SHA-256 of it, so it cannot be verified")
	}
	if same, err := isFile(path, f); err != nil {
		return "", err
	} else if same {
		return "there already", nil
	}
	p, err := openPartial(path, f, int64(d.args.PartSize))
	if err != nil {
		return "", err
	}
	defer p.Close()
	resumed := p.have > 0
	b := d.bars.bar(f.name, f.size)
	defer b.end()
	b.add(p.have)
	for {
		if err := d.parts(ctx, f, p, b); err != nil {
			if p.have > 0 {
				return "", fmt.Errorf("%w (%s of %s are kept; the same command goes on from there)", err, bytesText(p.have), bytesText(f.size))
			}
			return "", err
		}
		wrong := p.verify(ctx, f)
		if wrong == nil {
			break
		}
		if !resumed || ctx.Err() != nil {
			return "", errors.Join(wrong, p.discard())
		}
		// What an earlier run left may not be what it wrote, after a power cut.
		resumed = false
		b.add(-p.have)
		if err := p.restart(); err != nil {
			return "", err
		}
	}
	if err := p.finish(path); err != nil {
		return "", err
	}
	if resumed {
		return "went on", nil
	}
	return "", nil
}

// isFile tells whether path holds f already.
func isFile(path string, f incoming) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return false, fmt.Errorf("%s is a folder", path)
	}
	if info.Size() != f.size || !info.Mode().IsRegular() {
		return false, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	h := sha256.New()
	_, err = io.Copy(h, file)
	return hex.EncodeToString(h.Sum(nil)) == f.sha256, err
}

// parts gets what is missing of a file, several parts at a time.
func (d *downloading) parts(ctx context.Context, f incoming, p *partial, b *bar) error {
	if f.url == "" { // no ranges: from the beginning, each time
		if p.have == f.size {
			return nil
		}
		return d.again(ctx, func(ctx context.Context) (bool, error) {
			w := &partWriter{f: p.file, b: b}
			if err := d.whole(ctx, f, w); err != nil {
				b.add(-w.n)
				return false, err
			}
			return true, p.done(0, f.size)
		})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cap(d.slots))
	for i := range p.count() {
		if p.has[i] {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			from, to := p.span(i)
			w := &partWriter{f: p.file, at: from, b: b}
			if err := d.fill(ctx, f, w, from, to); err != nil {
				b.add(-w.n)
				return err
			}
			return p.done(i, to-from)
		})
	}
	return g.Wait()
}

// fill writes the bytes of f from one offset to another to w, in as many
// requests as that takes.
func (d *downloading) fill(ctx context.Context, f incoming, w io.Writer, from, to int64) error {
	return d.again(ctx, func(ctx context.Context) (bool, error) {
		n, err := d.rangeOf(ctx, f, w, from, to)
		from += n
		return n > 0, err
	})
}

// rangeOf makes one request for bytes of f and tells how many it got.
func (d *downloading) rangeOf(ctx context.Context, f incoming, w io.Writer, from, to int64) (n int64, err error) {
	if from == to {
		return 0, nil
	}
	ctx, g := d.watch(ctx)
	defer g.stop()
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, to-1)}, "If-Range": {`"` + f.sha256 + `"`}}
	resp, err := d.send(ctx, http.MethodGet, f.url, h, 0, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if etag := strings.Trim(resp.Header.Get("Etag"), `"`); etag != f.sha256 {
		return 0, lasting{errors.New("the file has been replaced on the server meanwhile")}
	}
	switch want := fmt.Sprintf("bytes %d-", from); {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), want):
	case resp.StatusCode == http.StatusOK && from == 0 && to == f.size:
	default:
		return 0, lasting{errors.New("something between here and the server does not pass ranges on; try --part-size 1GiB")}
	}
	return copyAwake(ctx, w, io.LimitReader(resp.Body, to-from), to-from, g)
}

// whole writes all of f, as the API gives it, to w.
func (d *downloading) whole(ctx context.Context, f incoming, w io.Writer) error {
	ctx, g := d.watch(ctx)
	defer g.stop()
	in := d.args.named(d.args.Format)
	in["Asset"] = f.name
	for _, row := range d.api.service.Rows {
		if row.Name() != "GetPackageVersionAsset" {
			continue
		}
		g.asleep() // it may have to come from outside first
		resp, err := d.api.do(ctx, row, in, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = copyAwake(ctx, w, io.LimitReader(resp.Body, f.size+1), f.size, g)
		return err
	}
	return lasting{errors.New("no operation GetPackageVersionAsset")}
}

// copyAwake copies size bytes; fewer are an error.
func copyAwake(ctx context.Context, w io.Writer, r io.Reader, size int64, g *guard) (n int64, err error) {
	buf := copyBuffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer copyBuffers.Put(buf)
	for {
		g.awake()
		m, err := r.Read(*buf)
		if m > 0 {
			if _, err := w.Write((*buf)[:m]); err != nil {
				return n, lasting{err}
			}
			n += int64(m)
		}
		switch {
		case err == io.EOF && n == size:
			return n, nil
		case err == io.EOF:
			return n, fmt.Errorf("the answer has %d bytes, not %d", n, size)
		case err != nil && errors.Is(context.Cause(ctx), errStalled):
			return n, errStalled
		case err != nil:
			return n, err
		}
	}
}

var copyBuffers = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool is shared by nature
	b := make([]byte, 128<<10)
	return &b
}}

// partWriter writes to a place in a file.
type partWriter struct {
	f     *os.File
	at, n int64
	b     *bar
}

func (w *partWriter) Write(p []byte) (int, error) {
	n, err := w.f.WriteAt(p, w.at+w.n)
	w.n += int64(n)
	w.b.add(int64(n))
	return n, err
}

// pour sends one file on as it comes. What is wrong is known only at the end:
// the reader has to heed the exit code.
func (d *downloading) pour(ctx context.Context, f incoming, w io.Writer) error {
	d.bars = newProgress(d.env.Stderr)
	defer d.bars.wait()
	b := d.bars.bar(f.name, f.size)
	defer b.end()
	hash := sha256.New()
	sink := io.MultiWriter(w, hash, barWriter{b})
	if f.url == "" {
		if err := d.inOrder(ctx, f, sink); err != nil {
			return err
		}
	} else if err := d.fill(ctx, f, sink, 0, f.size); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != f.sha256 {
		return wrongHash(f, got)
	}
	return nil
}

// inOrder is for a file without ranges: once bytes have been passed on there is
// no second try.
func (d *downloading) inOrder(ctx context.Context, f incoming, w io.Writer) error {
	passed := &countingWriter{w: w}
	return d.again(ctx, func(ctx context.Context) (bool, error) {
		err := d.whole(ctx, f, passed)
		if err != nil && passed.n > 0 {
			err = lasting{err}
		}
		return false, err
	})
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

type barWriter struct{ b *bar }

func (w barWriter) Write(p []byte) (int, error) { w.b.add(int64(len(p))); return len(p), nil }

// pourInto pours into what is no regular file, such as a pipe.
func (d *downloading) pourInto(ctx context.Context, f incoming, path string) error {
	out, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.pour(ctx, f, out), out.Close())
}

func wrongHash(f incoming, got string) error {
	return fmt.Errorf("what arrived has the SHA-256 %s, not %s as the server says", got, f.sha256)
}
