package e2e

import (
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"packhouse/internal/mail/mailtest"
)

var link = regexp.MustCompile(`http://\S+`)

// cmdRelay is
//
//	relay start            a mail relay on loopback; sets $RELAY
//	relay await N FILE     wait for N mails and write them down, as a JSON array with to, subject, text and the first link
func (s *story) cmdRelay(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1 && args[0] == "start" && s.relay == nil:
		s.relay = mailtest.New(s.t)
		ts.Setenv("RELAY", s.relay.Address)
	case !neg && len(args) == 3 && args[0] == "await" && s.relay != nil:
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		type letter struct {
			To      string `json:"to"`
			Subject string `json:"subject"`
			Text    string `json:"text"`
			Link    string `json:"link"`
		}
		var list []letter
		for _, got := range s.relay.Await(s.t, n) {
			m, err := mail.ReadMessage(strings.NewReader(got.Data))
			ts.Check(err)
			text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
			ts.Check(err)
			list = append(list, letter{m.Header.Get("To"), m.Header.Get("Subject"), string(text), link.FindString(string(text))})
		}
		text, err := json.MarshalIndent(list, "", "\t")
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o644))
	default:
		ts.Fatalf("usage: relay start | await N FILE")
	}
}
