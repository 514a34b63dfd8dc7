package pypi

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"packhouse/internal/fault"
	"packhouse/internal/format"
)

// contents is what was found in a distribution.
type contents struct {
	raw      []byte    // the METADATA or PKG-INFO file; nil when there is none
	metadata *metadata // of raw
	licenses [][]byte  // texts of files that may be licences
}

// sum is the SHA-256 of the core metadata, in hex.
func (c contents) sum() string {
	sum := sha256.Sum256(c.raw)
	return hex.EncodeToString(sum[:])
}

const (
	maxLicenses   = 8  // files looked at
	maxCandidates = 16 // dist-info folders or PKG-INFO files of one distribution
)

// readDistribution looks into a wheel or an sdist. raw is nil in what cannot be
// read as one, or has no metadata; an error is one of reading.
func readDistribution(d distribution, r io.ReaderAt, size int64) (c contents, err error) {
	switch {
	case d.kind == wheel:
		c, err = readZip(r, size, func(name string) int { return wheelRank(name, d) })
	case d.kind == sdist && d.suffix == ".zip":
		c, err = readZip(r, size, sdistRank)
	case d.kind == sdist && (d.suffix == ".tar.gz" || d.suffix == ".tgz"):
		c, err = readTar(io.NewSectionReader(r, 0, size))
	}
	if errors.Is(err, format.ErrNotArchive) || errors.Is(err, format.ErrArchiveBounds) {
		return contents{}, nil
	}
	if err != nil || c.raw == nil {
		return contents{}, err
	}
	m, ok := parseMetadata(c.raw)
	if !ok {
		return contents{}, nil
	}
	c.metadata = m
	if m.License == "" && m.LicenseExpression == "" && !slices.ContainsFunc(m.Classifiers, isLicense) {
		for _, text := range c.licenses {
			for _, id := range format.RecognizeLicenses(text) {
				if !slices.Contains(m.Recognized, id) {
					m.Recognized = append(m.Recognized, id)
				}
			}
		}
	}
	return c, nil
}

// Ranks of files in an archive.
const (
	isNothing = iota
	isLicenseText
	isMetadata
)

// wheelRank tells what a file of a wheel is: NAME-VERSION.dist-info/METADATA of
// the wheel itself, whatever other folders claim (PEP 427).
func wheelRank(name string, d distribution) int {
	folder, file, ok := strings.Cut(name, "/")
	stem, isInfo := strings.CutSuffix(folder, ".dist-info")
	if !ok || !isInfo {
		return isNothing
	}
	if file == "METADATA" {
		at := strings.LastIndexByte(stem, '-')
		if at <= 0 || !validName(stem[:at]) || normal(stem[:at]) != normal(d.name) {
			return isNothing
		}
		return isMetadata
	}
	if licenseName(path.Base(file)) {
		return isLicenseText
	}
	return isNothing
}

// sdistRank tells what a file of an sdist is: TOP/PKG-INFO.
func sdistRank(name string) int {
	folder, file, ok := strings.Cut(strings.TrimPrefix(name, "./"), "/")
	switch {
	case !ok || folder == "" || strings.Contains(file, "/"):
		return isNothing
	case file == "PKG-INFO":
		return isMetadata
	case licenseName(file):
		return isLicenseText
	}
	return isNothing
}

func licenseName(file string) bool {
	file = strings.ToLower(file)
	return strings.HasPrefix(file, "licen") || strings.HasPrefix(file, "copying")
}

func readZip(r io.ReaderAt, size int64, rank func(name string) int) (c contents, err error) {
	z, err := format.OpenZip(r, size)
	if err != nil {
		return c, err
	}
	for _, f := range z.File {
		switch rank(f.Name) {
		case isMetadata:
			if c.raw != nil {
				return contents{}, nil // which of them counts?
			}
			if c.raw, err = unzip(f, maxMetadata); err != nil || c.raw == nil {
				return contents{}, err
			}
		case isLicenseText:
			if len(c.licenses) < maxLicenses && f.UncompressedSize64 <= format.MaxLicense {
				text, err := unzip(f, format.MaxLicense)
				if err != nil {
					return contents{}, err
				}
				c.licenses = append(c.licenses, text)
			}
		}
	}
	return c, nil
}

// unzip gives a file of at most limit bytes; nil when it has more or cannot be
// read.
func unzip(f *zip.File, limit int64) ([]byte, error) {
	content, err := f.Open()
	if err != nil {
		return nil, nil // not a file that anybody can read
	}
	defer content.Close()
	b, err := io.ReadAll(io.LimitReader(content, limit+1))
	if err != nil || int64(len(b)) > limit {
		return nil, nil // as above: broken, or a bomb
	}
	return b, nil
}

func readTar(r io.Reader) (c contents, err error) {
	seen := 0
	err = format.WalkTarGz(r, func(name string, content io.Reader) (bool, error) {
		rank := sdistRank(name)
		if rank == isNothing {
			return true, nil
		}
		limit := int64(maxMetadata)
		if rank == isLicenseText {
			limit = format.MaxLicense
		}
		if seen++; seen > maxCandidates {
			return false, nil
		}
		b, err := io.ReadAll(io.LimitReader(content, limit+1))
		switch {
		case err != nil:
			return false, format.ErrNotArchive
		case int64(len(b)) > limit:
		case rank == isLicenseText:
			c.licenses = append(c.licenses, b)
		case c.raw != nil && !bytes.Equal(c.raw, b):
			c.raw = nil
			return false, format.ErrNotArchive // which of them counts?
		default:
			c.raw = b
		}
		return true, nil
	})
	if errors.Is(err, format.ErrArchiveBounds) && c.raw != nil {
		err = nil // seen early: sdists begin with it, or end
	}
	return c, err
}

// agree holds what a distribution says of itself against what it is taken for:
// installers believe the file.
func (c contents) agree(project string, d distribution) error {
	if c.metadata == nil {
		return nil
	}
	if m := c.metadata; !validName(m.Name) || normal(m.Name) != project {
		return fault.New(fault.Invalid, "the file is of project %q, not of %q", clip(m.Name), project)
	} else if !sameRelease(m.Version, d.version.String()) {
		return fault.New(fault.Invalid, "the file is of version %q, its name of %q", clip(m.Version), d.version)
	}
	return nil
}

// extractMetadata writes the core metadata of a wheel.
func extractMetadata(file, project string) func(content io.ReaderAt, size int64, w io.Writer) error {
	return func(content io.ReaderAt, size int64, w io.Writer) error {
		d, ok := parseFileName(file, project)
		if !ok || d.kind != wheel {
			return noMetadata(file)
		}
		c, err := readZip(content, size, func(name string) int { return wheelRank(name, d) })
		if err != nil || c.raw == nil {
			return noMetadata(file)
		}
		if _, err := w.Write(c.raw); err != nil {
			return fmt.Errorf("metadata of %s: %w", file, err)
		}
		return nil
	}
}

func noMetadata(file string) error {
	return fault.About(fault.NotFound, "asset", file+metadataSuffix, "%s has no core metadata that can be read", file)
}

func clip(s string) string { return s[:min(len(s), maxName)] }
