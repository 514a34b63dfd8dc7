// Package identity tells who is calling: it verifies signed API requests and
// the tokens of package clients, issues such tokens, and makes the first user.
// What a caller may do is decided elsewhere (package access).
//
// A Caller is made once per request and handed down. Credentials are checked
// against the catalog's current configuration on every request, without asking
// the database when nothing has changed: whoever is deleted is out at once.
//
// The surprise: a request to a package endpoint without credentials is no
// error here. Its Caller is anonymous, and becomes an error where something is
// asked of it that not everybody may do.
package identity

import "strings"

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
