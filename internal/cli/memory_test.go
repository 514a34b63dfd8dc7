package cli

import (
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"packhouse/internal/config"
)

// flow passes bytes on and notes the most memory that was in use meanwhile.
type flow struct {
	r       io.Reader
	w       io.Writer
	n, next int64
	peak    uint64
}

func (f *flow) note(n int) {
	if f.n += int64(n); f.n < f.next {
		return
	}
	f.next = f.n + 1<<20
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.peak = max(f.peak, m.HeapInuse)
}

func (f *flow) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.note(n)
	return n, err
}

func (f *flow) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.note(n)
	return n, err
}

// TestTransfer_ConstantMemory moves a file many times as large as what client
// and server, both in this process, may use of memory. PACKHOUSE_TEST_LARGE is
// another size, such as 4900MB.
func TestTransfer_ConstantMemory(t *testing.T) {
	size := config.Size(160 << 20)
	if text := os.Getenv("PACKHOUSE_TEST_LARGE"); text != "" {
		if err := size.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	const most = 80 << 20 // 4 parts of 4 MiB, what the house keeps in memory, and what waits to be collected
	h := files(t)
	main := func(stdin io.Reader, stdout io.Writer, args ...string) {
		t.Helper()
		var errs strings.Builder
		if code := Main(context.WithoutCancel(t.Context()), Env{
			Args: append(args, "--part-size", "4MiB"), Stdin: stdin, Stdout: stdout, Stderr: &errs,
			Services: Services(), LookupEnv: os.LookupEnv, Home: h.home, Version: "test",
		}); code != exitOK {
			t.Fatalf("exit %d: %s", code, &errs)
		}
	}
	sent, got := sha256.New(), sha256.New()
	up := &flow{r: io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), int64(size)), sent)}
	main(up, io.Discard, version("upload", "1.0", "-", "--asset-name", "large")...)
	down := &flow{w: got}
	main(nil, down, version("download", "1.0", "--asset", "large", "--output", "-")...)
	if down.n != int64(size) || string(sent.Sum(nil)) != string(got.Sum(nil)) {
		t.Errorf("%d of %d bytes came back, or others", down.n, size)
	}
	t.Logf("%d bytes: at most %d MiB in use while sending, %d MiB while fetching", size, up.peak>>20, down.peak>>20)
	if up.peak > most || down.peak > most {
		t.Errorf("more than %d MiB of memory were in use", most>>20)
	}
}
