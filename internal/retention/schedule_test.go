package retention

import (
	"strings"
	"testing"
	"time"

	"packhouse/internal/fault"
)

func TestSchedule_Next(t *testing.T) {
	at := func(text string) time.Time {
		when, err := time.Parse("2006-01-02 15:04:05", text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct{ schedule, after, want string }{
		{DefaultSchedule, "2026-03-01 02:59:59", "2026-03-01 03:00:00"},
		{DefaultSchedule, "2026-03-01 03:00:00", "2026-03-02 03:00:00"},
		{DefaultSchedule, "2026-03-01 03:00:30", "2026-03-02 03:00:00"},
		{"*/15 * * * *", "2026-12-31 23:50:01", "2027-01-01 00:00:00"},
		{"0 4 * * SUN", "2026-03-02 00:00:00", "2026-03-08 04:00:00"},
		{"0 0 29 2 *", "2026-03-02 00:00:00", "2028-02-29 00:00:00"},
		{"@monthly", "2026-03-02 00:00:00", "2026-04-01 00:00:00"},
	} {
		s, err := ParseSchedule(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Next(at(c.after)); err != nil || !got.Equal(at(c.want)) {
			t.Errorf("%s after %s: %v, %v, want %s", c.schedule, c.after, got, err, c.want)
		}
	}
}

func TestParseSchedule_Refuses(t *testing.T) {
	for _, text := range []string{
		"", "daily", "* * * *", "* * * * * *", "61 * * * *", "0 24 * * *", "0 0 30 2 *", "0 0 * 13 *", "@everysecond", "a b c d e", "0 3 * * * 2020",
		"*/0 * * * *", "- * * * *", strings.Repeat("1,", 60) + "1 * * * *",
	} {
		if s, err := ParseSchedule(text); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "five fields") {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{DefaultSchedule, "*/5 1-3,7 * JAN-MAR MON", "@daily", "0 0 L * *", "0 0 1W * *", "0 0 * * 5#3", "1-0 * * * *", "99999999999999999999 * * * *", "0 0 31 2,4 *"} {
		f.Add(s)
	}
	after := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if again, err := ParseSchedule(s.String()); err != nil || again != s {
			t.Errorf("%q is read as %q and then refused: %v", text, s, err)
		}
		if next, err := s.Next(after); err == nil && !next.After(after) {
			t.Errorf("%s after %s is %s", s, after, next)
		}
	})
}
