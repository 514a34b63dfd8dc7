package cli

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows bars on a terminal, and nothing in a pipe. The zero value
// shows nothing.
type progress struct{ bars *mpb.Progress }

// newProgress shows bars where w is a terminal.
func newProgress(w io.Writer) progress {
	f, ok := w.(*os.File)
	if !ok || !cwriter.IsTerminal(int(f.Fd())) {
		return progress{}
	}
	return progress{mpb.New(mpb.WithOutput(f), mpb.WithWidth(64))}
}

// bar begins a bar of size bytes; a size below zero is not known yet.
func (p progress) bar(name string, size int64) *bar {
	if p.bars == nil {
		return &bar{}
	}
	const longest = 30
	if runes := []rune(name); len(runes) > longest {
		name = string(runes[:longest-1]) + "…"
	}
	return &bar{p.bars.AddBar(max(size, 0),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.AverageSpeed(decor.SizeB1024(0), "% .1f", decor.WCSyncSpace), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)),
	)}
}

// wait ends the display; every bar must have ended.
func (p progress) wait() {
	if p.bars != nil {
		p.bars.Wait()
	}
}

// bar is one file's.
type bar struct{ b *mpb.Bar }

// add moves the bar on, or back by a negative n.
func (b *bar) add(n int64) {
	if b.b != nil && n != 0 {
		b.b.IncrInt64(n)
	}
}

// end takes the bar away, wherever it is.
func (b *bar) end() {
	if b.b != nil {
		b.b.Abort(true)
		b.b.Wait()
	}
}
