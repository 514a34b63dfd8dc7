package app_test

import (
	"bytes"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestDisk_FullOfBytes: with a full disk nothing is acknowledged and nothing
// half done is visible; what is there is served, and with room again all works.
func TestDisk_FullOfBytes(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	public := publicRegistry(t)
	s := newSite(t, public.URL, map[string]string{"blobs": disk})
	if a := s.publish(t, "kept", "1.0.0", []byte("small")); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	large := noise(3 << 20)
	for range 2 {
		if a := s.publish(t, "large", "1.0.0", large); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "full") {
			t.Errorf("publish: %d %s", a.status, a.body)
		}
	}
	s.want(t, http.StatusNotFound, "internal/large")
	s.want(t, http.StatusNotFound, "internal/large/-/large-1.0.0.tgz")
	if a := s.want(t, http.StatusOK, "app/kept/-/kept-1.0.0.tgz"); a.body != "small" {
		t.Errorf("kept: %q", a.body)
	}
	if code, text := get(t, s.URL()+"/healthz"); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	if a := s.publish(t, "fits", "1.0.0", bytes.Repeat([]byte("f"), 10_000)); a.status != http.StatusCreated {
		t.Errorf("what fits: %d %s", a.status, a.body)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	if a := s.publish(t, "large", "1.0.0", large); a.status != http.StatusCreated {
		t.Errorf("with room again: %d %s", a.status, a.body)
	}
	if a := s.want(t, http.StatusOK, "app/large/-/large-1.0.0.tgz"); a.body != string(large) {
		t.Errorf("%d other bytes", len(a.body))
	}
}
