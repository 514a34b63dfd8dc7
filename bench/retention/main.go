// Command retention fills the database of a server that has been started once
// and stopped with a domain of many versions, for retention.sh to preview.
//
// It writes rows and no bytes, with SQL of its own: through the catalog it would
// take an hour. What a preview does not read, manifests and blobs, is left out.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	mathrand "math/rand/v2"
	"strings"
	"time"

	_ "modernc.org/sqlite"
)

var (
	file     = flag.String("db", "", "the database file")
	packages = flag.Int("packages", 50_000, "packages in all")
	versions = flag.Int("versions", 20, "versions of each")
)

func main() {
	flag.Parse()
	if err := fill(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// id makes a row id as the catalog does.
func id(at time.Time) string {
	var b [14]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16)
	rand.Read(b[6:])
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:13])[:20])
}

// shelf is a repository with its share of the packages.
type shelf struct {
	name, origin string
	share        float64
	copies       string // the shelf whose contents it has
}

func fill(ctx context.Context) (err error) {
	db, err := sql.Open("sqlite", "file:"+*file+"?_pragma=synchronous(off)&_pragma=cache_size(-200000)")
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	statements := map[string]*sql.Stmt{}
	put := func(table string, args ...any) {
		if err != nil {
			return
		}
		s := statements[table]
		if s == nil {
			if s, err = tx.PrepareContext(ctx, "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(args)-1)+")"); err != nil { //nolint:gosec // constants of this file
				return
			}
			statements[table] = s
		}
		_, err = s.ExecContext(ctx, args...)
	}
	now := time.Now()
	random := mathrand.New(mathrand.NewPCG(1, 2)) //nolint:gosec // the same rows each time
	domain := id(now)
	put("domain (id, owner, name, status, encryption_key, created, cross_block)", domain, "123456789012", "big", "Active", "", now.UnixMicro(), 1)
	put("package_group (domain_id, pattern, contact_info, description, created, publish, internal_upstream, external_upstream)", domain, "/*", "", "", now.UnixMicro(), "ALLOW", "ALLOW", "ALLOW")
	contents := map[string]string{} // of what is copied
	for _, s := range []shelf{{"public", "EXTERNAL", 0.5, ""}, {"releases", "INTERNAL", 0.45, ""}, {"app", "EXTERNAL", 0.05, "public"}} {
		repository := id(now)
		put("repository (id, domain_id, name, administrator, description, created, format, upstreams, connections)",
			repository, domain, s.name, "123456789012", "", now.UnixMicro(), "", "[]", "[]")
		for p := range int(s.share * float64(*packages)) {
			pkg, name := id(now), fmt.Sprintf("package-%06d", p)
			put("package (id, domain_id, repository_id, format, namespace, name, display_name, publish, upstream, explicit, created)",
				pkg, domain, repository, "npm", "", name, name, "ALLOW", "ALLOW", 0, now.UnixMicro())
			put("dist_tag (package_id, tag, version)", pkg, "latest", fmt.Sprintf("1.%d.0", *versions-1))
			for v := range *versions {
				came := now.Add(-time.Duration(random.IntN(400*24)) * time.Hour)
				vid, number := id(came), fmt.Sprintf("1.%d.0", v)
				if v%7 == 6 {
					number += "-rc.1"
				}
				put("version (id, package_id, number, status, revision, origin_type, origin_repository, origin_connection, published)",
					vid, pkg, number, "Published", "r", s.origin, "", "", came.UnixMicro())
				if s.origin == "EXTERNAL" && v%2 == 0 {
					put("version_usage (version_id, last_download, downloads)", vid, now.Add(-time.Duration(random.IntN(200*24))*time.Hour).UnixMicro(), 1)
				}
				key := name + number
				sha := contents[key]
				if s.copies == "" || sha == "" {
					var b [32]byte
					rand.Read(b[:])
					if sha = hex.EncodeToString(b[:]); s.name == "public" && p < *packages/10 {
						contents[key] = sha
					}
				}
				put("asset (version_id, name, space, size, sha256, sha512, sha1, md5)", vid, "package.tgz", domain, 10_000, sha, "", "", "")
			}
		}
	}
	for origin, settings := range map[string]string{
		"INTERNAL": `{"days":90,"versions":5,"rules":[{"name":"candidates","kind":"PRERELEASE","days":14,"versions":1}]}`, "EXTERNAL": `{"days":30}`,
	} {
		put("retention_configuration (domain_id, repository_id, origin, settings)", domain, "", origin, settings)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}
