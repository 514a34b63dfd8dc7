package control_test

import (
	"cmp"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"packhouse/internal/control"
)

// The SDK knows nothing of our additions, so the judge calls them by the table:
// each that is about stored packages is provoked to every error it may answer.

// additionBodies are what a call needs in its body.
var additionBodies = map[string]string{
	"PutRepositoryRetentionConfiguration": `{"maxVersionsRetained":1}`, "PutDomainRetentionConfiguration": `{"maxVersionsRetained":1}`,
	"PinPackageVersions": `{"versions":["1.0.0"]}`, "UnpinPackageVersions": `{"versions":["1.0.0"]}`, "RestorePackageVersions": `{"versions":["9.9.9"]}`,
	"PutLegalHold": `{"reason":"case 7"}`, "PutRepositoryQuota": `{"maxVersions":1}`, "PutDomainQuota": `{"maxVersions":1}`,
}

// additionsElsewhere have tests of their own, being about other things than the
// packages of a domain.
var additionsElsewhere = map[string]bool{"CreateAccount": true, "ListAccounts": true, "ListAccessRecords": true, "ExplainAccess": true}

// additionConflicts are calls that something is in the way of; before says what.
var additionConflicts = []struct {
	operation, query, body string
	before                 []string // METHOD PATH QUERY BODY
}{
	{"PutRepositoryRetentionConfiguration", onRepo, `{"rules":[{"format":"npm","remove":true}]}`, nil},
	{"PutDomainRetentionConfiguration", "domain=corp", `{"rules":[{"format":"npm","remove":true}]}`, nil},
	{
		"StartRetentionRun", "domain=corp", "{}",
		[]string{"PUT " + repositoryRetention + " " + onRepo + ` {"maxVersionsRetained":1}`, "POST /v1/retention/runs domain=corp {}"},
	},
	{"StartStorageCheck", "domain=corp", "{}", []string{"POST /v1/storage-check domain=corp {}"}},
}

const additionQuery = onRepo + "&format=npm&package=thing&version=1.0.0&run-id=01234567890123456789&check=01234567890123456789"

func TestJudge_ErrorsOfAdditions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	h := newHouse(t, "sqlite:"+file)
	shops(t, h)
	h.aged(t, "repo", "thing", "1.0.0", "1.1.0")
	h.user("nobody", statement("Allow", "iam:GetUser", "*"))
	nobody := *h
	nobody.key.ID, nobody.key.Secret = fmt.Sprintf("AKIA%016s", "nobody"), "secret"
	judged := 0
	rows := map[string][2]string{}
	body := map[string]string{}
	for _, row := range control.Table() {
		name := row.Name()
		if _, ofAWS := documented[name]; ofAWS || additionsElsewhere[name] {
			continue
		}
		judged++
		rows[name] = [2]string{row.Method(), row.Path()}
		if body[name] = additionBodies[name]; row.Method() != http.MethodGet && row.Method() != http.MethodDelete {
			body[name] = cmp.Or(body[name], "{}")
		}
		nobody.refuses(t, "AccessDeniedException", name, row.Method(), row.Path(), additionQuery, body[name])
		h.refuses(t, "ResourceNotFoundException", "", row.Method(), row.Path(), strings.Replace(additionQuery, "corp", "nowhere", 1), body[name])
		h.refuses(t, "ValidationException", "", row.Method(), row.Path(), strings.Replace(additionQuery, "corp", "Not_Valid", 1), body[name])
	}
	if judged < 30 {
		t.Errorf("only %d additions were judged", judged)
	}
	for _, c := range additionConflicts {
		for _, before := range c.before {
			call := strings.SplitN(before, " ", 4)
			h.does(t, nil, call[0], call[1], call[2], call[3])
		}
		h.refuses(t, "ConflictException", "", rows[c.operation][0], rows[c.operation][1], c.query, c.body)
	}
	wreck(t, file)
	for name, row := range rows {
		h.refuses(t, "InternalServerException", "", row[0], row[1], additionQuery, body[name])
	}
	h.log.Reset() // failures are what was asked for
}
