package retention

import (
	"regexp"
	"strings"
	"time"

	"github.com/adhocore/gronx"

	"packhouse/internal/fault"
)

// DefaultSchedule is when a domain is tidied unless it says something else: daily
// at three o'clock UTC.
const DefaultSchedule = "0 3 * * *"

// Schedule is when something happens: a cron expression of five fields (minute,
// hour, day of the month, month, day of the week), in UTC.
type Schedule struct{ text string }

const maxSchedule = 100 // characters

// scheduleField is what may stand in one field; names of months and days too.
var scheduleField = regexp.MustCompile(`^(\*|[0-9A-Za-z]+)([-/,](\*|[0-9A-Za-z]+))*$`)

// ParseSchedule reads an expression, Invalid when it is none or its time never
// comes. @hourly, @daily, @weekly and @monthly are short for what they say.
func ParseSchedule(text string) (Schedule, error) {
	bad := func(why string) (Schedule, error) {
		return Schedule{}, fault.Field("schedule", "%s; a schedule has five fields (minute, hour, day of the month, month, day of the week), in UTC: %s is daily at 03:00", why, DefaultSchedule)
	}
	if len(text) > maxSchedule {
		return bad("is too long")
	}
	switch text {
	case "@hourly":
		text = "0 * * * *"
	case "@daily":
		text = "0 0 * * *"
	case "@weekly":
		text = "0 0 * * 0"
	case "@monthly":
		text = "0 0 1 * *"
	}
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return bad("is not a cron expression of five fields")
	}
	for _, f := range fields {
		if !scheduleField.MatchString(f) {
			return bad("has a field that cannot be read")
		}
	}
	s := Schedule{strings.Join(fields, " ")}
	if !gronx.IsValid(s.text) {
		return bad("has a field that is not right")
	}
	if _, err := s.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		return bad("never comes")
	}
	return s, nil
}

// String is the expression.
func (s Schedule) String() string { return s.text }

// Next is the first time after t.
func (s Schedule) Next(t time.Time) (time.Time, error) {
	next, err := gronx.NextTickAfter(s.text, t.UTC().Truncate(time.Minute), false)
	if err != nil {
		return time.Time{}, fault.Wrap(fault.Invalid, err, "schedule %s has no next time", s.text)
	}
	if !next.After(t) {
		return time.Time{}, fault.New(fault.Invalid, "schedule %s has no next time", s.text)
	}
	return next.UTC(), nil
}
