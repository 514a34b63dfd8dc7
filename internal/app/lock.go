package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const lockName = ".lock"

// ErrInUse is a data folder that another server works in.
var ErrInUse = errors.New("another packhouse server uses this folder")

// Running is what a server writes into the lock of its data folder, for
// whoever finds it locked.
type Running struct {
	Process     int               `json:"process"`
	URL         string            `json:"url,omitempty"` // once it listens
	Connections map[string]string `json:"connections,omitempty"`
}

// String is for messages.
func (r Running) String() string {
	switch {
	case r.Process == 0:
		return "it does not say which"
	case r.URL == "":
		return fmt.Sprintf("process %d", r.Process)
	default:
		return fmt.Sprintf("process %d at %s", r.Process, r.URL)
	}
}

func readRunning(f *os.File) (r Running) {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<10))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return Running{} // a server that is just starting has written nothing yet
	}
	return r
}

func writeRunning(f *os.File, r Running) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err
}

// FindRunning tells which server works in a data folder; ok is false when none
// does.
func FindRunning(data string) (r Running, ok bool, err error) {
	path := filepath.Join(data, lockName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return Running{}, false, nil
	}
	f, err := lockFolder(path)
	if err == nil {
		return Running{}, false, f.Close()
	}
	if !errors.Is(err, ErrInUse) {
		return Running{}, false, err
	}
	if f, err = os.Open(path); err != nil {
		return Running{}, true, nil // it runs, though it does not say how
	}
	defer f.Close()
	return readRunning(f), true, nil
}
