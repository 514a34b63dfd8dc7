package maven

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// put takes one file, checksum or metadata. finish says that the version is to
// be published as soon as its POM and its main file are there: it is for clients
// that never put metadata, and chosen by the address they are given.
func put(w http.ResponseWriter, r *format.Request, a address, finish bool) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return fault.New(fault.Invalid, "content encoding %q is not taken: files are kept as they are sent", e)
	}
	if r.Header.Get("Content-Range") != "" { // RFC 9110 section 14.4
		return fault.New(fault.Invalid, "a file must be sent whole, not in ranges")
	}
	var err error
	switch {
	case a.file == metadataFile && a.sum != 0:
		err = putMetadataChecksum(r, a)
	case a.file == metadataFile:
		err = putMetadata(r, a)
	case a.sum != 0:
		err = putChecksum(r, a, finish)
	default:
		err = putFile(r, a, finish)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// putFile adds a file to its version. Permission and names are checked before
// the body is asked for, so a client that waits for 100 Continue sends it only
// then.
func putFile(r *format.Request, a address, finish bool) error {
	ctx := r.Context()
	if err := r.Repo.MayPublish(ctx, a.c); err != nil {
		return err
	}
	if finish {
		if err := r.Repo.MayPutMetadata(ctx, a.c); err != nil {
			return err
		}
	}
	if err := checkVersion(a.version); err != nil {
		return err
	}
	if _, b, ok := cutVersion(a.version); ok {
		return fault.New(fault.Invalid, "files of build %s are put below the folder of its snapshot, %s%s", b, strings.TrimSuffix(a.version, b.String()), current)
	}
	if err := artifact.CheckAssetName(a.file); err != nil {
		return err
	}
	staged, err := r.Repo.Stage(ctx, a.c, a.file, registry.Announced(r.Body, r.ContentLength))
	if err != nil {
		return err
	}
	facts, err := readStaged(ctx, r.Repo, a, staged)
	if err != nil {
		return err
	}
	p := registry.Publication{Version: a.version, Assets: []registry.Staged{staged}, Status: artifact.Unfinished, Overwrite: isCurrent(a.version)}
	if facts != nil {
		p.Merge = change(func(m *manifest, _ bool) error { m.add(*facts); return nil })
	}
	if f, ok := cutBuild(a.c, a.version, a.file); ok && isCurrent(a.version) && f.build != (build{}) {
		return putBuildFile(ctx, r.Repo, a, f.build, p, facts)
	}
	v, err := r.Repo.Publish(ctx, a.c, p)
	if err != nil || !finish || v.Status != artifact.Unfinished {
		return err
	}
	return finishWhole(ctx, r.Repo, a)
}

// readStaged reads what a file says of its version.
func readStaged(ctx context.Context, repo *registry.Repo, a address, staged registry.Staged) (*manifest, error) {
	f, err := repo.OpenStaged(ctx, staged)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	facts, err := inspect(a.c, a.version, a.file, f, staged.Size)
	if err != nil {
		return nil, fault.Wrap(fault.Of(err), err, "%s is not taken: %s", a.file, fault.Message(err))
	}
	return facts, nil
}

// finishWhole publishes a version that has its POM and its main file.
func finishWhole(ctx context.Context, repo *registry.Repo, a address) error {
	held, err := repo.HeldVersion(ctx, a.c, a.version)
	if err != nil {
		return err
	}
	m, err := readManifest(held.Manifest)
	if err != nil || m.POM == nil || len(m.Mismatched) > 0 {
		return err
	}
	main := m.POM.Packaging == "pom" || slices.ContainsFunc(held.Assets, func(asset artifact.Asset) bool {
		rest, ok := strings.CutPrefix(asset.Name, a.c.Name+"-"+a.version+".")
		return ok && rest != "pom" && rest != "module" && !strings.HasSuffix(rest, ".asc")
	})
	if !main {
		return nil
	}
	_, err = repo.Publish(ctx, a.c, registry.Publication{Version: a.version})
	return err
}

// maxChecksumBody bounds a checksum that is put, in bytes.
const maxChecksumBody = 8 << 10

// readChecksum reads the body of a checksum's PUT: "hex", or "hex  file".
// Upper case is taken too.
func readChecksum(r *format.Request, a address) (string, error) {
	body, err := format.ReadBody(r.Body, maxChecksumBody)
	if err != nil {
		return "", err
	}
	sum := checksumIn(string(body), a.sum)
	if sum == "" {
		return "", fault.New(fault.Invalid, "the body is no %s checksum: it must be %d hexadecimal digits", a.sum, 2*a.sum.Size())
	}
	return sum, nil
}

// putChecksum holds a checksum against the asset it is of. It is not kept: what
// is served is computed. A version is not published while one did not fit; finish
// is as in put.
func putChecksum(r *format.Request, a address, finish bool) error {
	ctx := r.Context()
	if err := r.Repo.MayPublish(ctx, a.c); err != nil {
		return err
	}
	if finish {
		if err := r.Repo.MayPutMetadata(ctx, a.c); err != nil {
			return err
		}
	}
	promised, err := readChecksum(r, a)
	if err != nil {
		return err
	}
	held, asset, err := heldAsset(ctx, r.Repo, a)
	if err != nil {
		return err
	}
	has := asset.Digests.Hex(a.sum)
	differs := has != promised
	m, err := readManifest(held.Manifest)
	if err != nil {
		return err
	}
	if held.Status == artifact.Unfinished && differs != slices.Contains(m.Mismatched[a.file], a.sum.String()) {
		_, err := r.Repo.Publish(ctx, a.c, registry.Publication{
			Version: held.Number, Status: artifact.Unfinished,
			Merge: change(func(m *manifest, _ bool) error { m.mismatch(a.file, a.sum, differs); return nil }),
		})
		if err != nil {
			return err
		}
	}
	if differs {
		return fault.About(fault.Invalid, "asset", a.file, "the %s of %s is %s, not %s: upload the file again, or delete the version first if the file that arrived is the wrong one",
			a.sum, a.file, has, promised)
	}
	if finish && held.Number == a.version && len(m.Mismatched) > 0 { // it may have been all that was in the way
		return finishWhole(ctx, r.Repo, a)
	}
	return nil
}

// heldAsset finds a file that was put here, in its version or in the build that
// it belongs to.
func heldAsset(ctx context.Context, repo *registry.Repo, a address) (held registry.Listed, asset artifact.Asset, err error) {
	numbers := []string{a.version}
	if f, ok := cutBuild(a.c, a.version, a.file); ok && isCurrent(a.version) && f.build != (build{}) {
		numbers = append(numbers, base(a.version)+f.build.String())
	}
	for _, number := range numbers {
		held, err = repo.HeldVersion(ctx, a.c, number)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return held, asset, err
		}
		if at := slices.IndexFunc(held.Assets, func(one artifact.Asset) bool { return one.Name == a.file }); err == nil && at >= 0 {
			return held, held.Assets[at], nil
		}
	}
	return held, asset, fault.About(fault.NotFound, "asset", a.file, "version %s has no file %s here; upload it before its checksum", a.version, a.file)
}

// putMetadataChecksum takes the checksum of a metadata that was put before. The
// document itself is not served, and several clients may have put theirs since,
// so there is nothing to hold it against.
func putMetadataChecksum(r *format.Request, a address) error {
	ctx := r.Context()
	if a.c.Name != "" {
		if err := r.Repo.MayPutMetadata(ctx, a.c); err != nil {
			return err
		}
	} else if err := r.Repo.MayRead(ctx); err != nil {
		return err
	}
	_, err := readChecksum(r, a)
	return err
}

// putMetadata takes the document with which a client ends a deployment.
func putMetadata(r *format.Request, a address) error {
	ctx := r.Context()
	var denied error
	if a.c.Name != "" {
		if denied = r.Repo.MayPutMetadata(ctx, a.c); denied != nil && !fault.Is(denied, fault.Denied) {
			return denied
		}
	} else if err := r.Repo.MayRead(ctx); err != nil {
		return err
	}
	body, err := format.ReadBody(r.Body, maxXML)
	if err != nil {
		return err
	}
	m, err := readMetadata(body)
	isOfGroup := err == nil && a.version == "" && m.Versioning == nil && len(m.Plugins) > 0
	switch {
	case isOfGroup && a.group != "":
		return putGroup(ctx, r, a.group, m) // each plugin needs the permission
	case denied != nil:
		return denied
	case err != nil:
		return badMetadata(err)
	case a.c.Name == "":
		return errAddress
	}
	if err := m.forPackage(a.c); err != nil {
		return err
	}
	if a.version != "" {
		return putSnapshotMetadata(ctx, r.Repo, a, m)
	}
	return publishListed(ctx, r.Repo, a.c, m, body)
}

// publishListed publishes the Unfinished versions that a package's metadata
// lists, or none of them when one has a file that did not arrive as promised.
// The metadata becomes an asset of each.
func publishListed(ctx context.Context, repo *registry.Repo, c artifact.Coordinates, m metadata, body []byte) error {
	listed := map[string]bool{}
	if m.Versioning != nil {
		for _, number := range m.Versioning.Versions {
			listed[number] = true
		}
	}
	if m.Version != "" {
		listed[m.Version] = true
	}
	whole := func(v artifact.Version) (bool, error) {
		if _, _, isBuild := cutVersion(v.Number); !listed[v.Number] || isBuild {
			return false, nil
		}
		held, err := readManifest(v.Manifest)
		if err != nil {
			return false, err
		}
		return true, held.whole(v.Number)
	}
	var pending []string
	_, err := repo.Finish(ctx, c, func(v artifact.Version) (bool, error) {
		ok, err := whole(v)
		if ok && !slices.Contains(pending, v.Number) { // it may run again
			pending = append(pending, v.Number)
		}
		return false, err
	})
	if err != nil || len(pending) == 0 {
		return err
	}
	if err := attach(ctx, repo, c, pending, body); err != nil {
		return err
	}
	_, err = repo.Finish(ctx, c, whole)
	return err
}

// attach keeps a metadata with the versions it publishes. That is for people to
// look at: where it cannot be, they are published without.
func attach(ctx context.Context, repo *registry.Repo, c artifact.Coordinates, versions []string, body []byte) error {
	ignore := func(err error) error {
		switch fault.Of(err) {
		case fault.Denied, fault.Conflict, fault.Quota:
			return nil
		default:
			return err
		}
	}
	staged, err := repo.Stage(ctx, c, metadataFile, strings.NewReader(string(body)))
	if err != nil {
		return ignore(err)
	}
	for _, number := range versions {
		_, err := repo.Publish(ctx, c, registry.Publication{
			Version: number, Assets: []registry.Staged{staged}, Status: artifact.Unfinished, Overwrite: isSnapshot(number),
		})
		if err := ignore(err); err != nil {
			return err
		}
	}
	return nil
}

// errNotCurrent says that a snapshot's content is another build by now.
var errNotCurrent = fault.New(fault.Conflict, "another build has become the current one")

func isNotCurrent(err error) bool { return errors.Is(err, errNotCurrent) }

// maxTurns bounds how often a file looks for its build while builds change.
const maxTurns = 20

// putBuildFile adds a file to the build it belongs to: the one that is the
// snapshot's content now, else a version of its own.
func putBuildFile(ctx context.Context, repo *registry.Repo, a address, b build, p registry.Publication, facts *manifest) error {
	p.Overwrite = false // a build's files never change
	for range maxTurns {
		is, err := isContent(ctx, repo, a, b)
		if err != nil {
			return err
		}
		p.Version = base(a.version) + b.String()
		if is {
			p.Version = a.version
		}
		p.Merge = change(func(m *manifest, _ bool) error {
			if is && m.Build != b.String() {
				return errNotCurrent
			}
			m.Build = b.String()
			if facts != nil {
				m.add(*facts)
			}
			return nil
		})
		_, err = repo.Publish(ctx, a.c, p)
		if is && err != nil && isNotCurrent(err) {
			continue
		}
		if err != nil || is {
			return err
		}
		// It may have become the content meanwhile: then the file belongs there.
		if is, err = isContent(ctx, repo, a, b); err != nil || !is {
			return err
		}
	}
	return fault.New(fault.Unavailable, "snapshot %s keeps changing; try again", a.version)
}

// isContent tells whether a build is what a snapshot is now.
func isContent(ctx context.Context, repo *registry.Repo, a address, b build) (bool, error) {
	held, err := repo.HeldVersion(ctx, a.c, a.version)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m, err := readManifest(held.Manifest)
	return m.Build == b.String(), err
}

// putSnapshotMetadata makes the build that a snapshot's metadata names its
// content, unless a newer one is by now. What was so far is kept as a version of
// its own, as is a build that came too late.
func putSnapshotMetadata(ctx context.Context, repo *registry.Repo, a address, m metadata) error {
	v := m.Versioning
	if v == nil || v.Snapshot == nil || v.Snapshot.Timestamp == "" {
		// Files that are overwritten in place: the package's metadata publishes them.
		return nil
	}
	b := build{v.Snapshot.Timestamp, v.Snapshot.BuildNumber}
	if same, rest, ok := parseBuild(b.String()); !ok || rest != "" || same != b {
		return fault.New(fault.Invalid, "the metadata names a build that is none: timestamp %.40q, number %d", b.time, b.number)
	}
	number := base(a.version) + b.String()
	held, err := repo.HeldVersion(ctx, a.c, number)
	if fault.Is(err, fault.NotFound) {
		is, err := isContent(ctx, repo, a, b)
		if err != nil || is {
			return err
		}
		return fault.About(fault.Invalid, "package-version", number, "no file of build %s has been put; put its files before the metadata that names it", number)
	}
	if err != nil {
		return err
	}
	built, err := readManifest(held.Manifest)
	if err != nil {
		return err
	}
	if err := built.whole(number); err != nil {
		return err
	}
	if held.Status != artifact.Unfinished {
		return nil // an earlier build, put again
	}
	err = repo.Turn(ctx, a.c, registry.Turn{Current: a.version, Next: number, Retired: func(was artifact.Version) (string, error) {
		m, err := readManifest(was.Manifest)
		if err != nil {
			return "", err
		}
		if is, rest, ok := parseBuild(m.Build); ok && rest == "" && is.compare(b) > 0 {
			return "", errNotCurrent
		}
		return m.number(a.version, was.Published), nil
	}})
	switch {
	case isNotCurrent(err):
		_, err = repo.Publish(ctx, a.c, registry.Publication{Version: number, Status: artifact.Unlisted})
	case fault.Is(err, fault.NotFound):
		// The same document, put twice at once: the other one has done it.
		if is, e := isContent(ctx, repo, a, b); e == nil && is {
			return nil
		}
	}
	return err
}
