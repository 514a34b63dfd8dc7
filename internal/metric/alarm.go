package metric

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is what an alarm says.
type State string

// The states of an alarm.
const (
	OK               State = "OK"
	Alarm            State = "ALARM"
	InsufficientData State = "INSUFFICIENT_DATA"
)

// Operator compares a statistic (left) with a threshold.
type Operator string

// The operators of static thresholds.
const (
	GreaterOrEqual Operator = "GreaterThanOrEqualToThreshold"
	Greater        Operator = "GreaterThanThreshold"
	Less           Operator = "LessThanThreshold"
	LessOrEqual    Operator = "LessThanOrEqualToThreshold"
)

// Operators lists them.
func Operators() []Operator { return []Operator{GreaterOrEqual, Greater, Less, LessOrEqual} }

func (o Operator) breaches(value, threshold float64) bool {
	switch o {
	case GreaterOrEqual:
		return value >= threshold
	case Greater:
		return value > threshold
	case Less:
		return value < threshold
	case LessOrEqual:
		return value <= threshold
	}
	return false
}

// words are how reasons tell of an operator.
func (o Operator) words() string {
	switch o {
	case GreaterOrEqual:
		return "greater than or equal to"
	case Greater:
		return "greater than"
	case Less:
		return "less than"
	case LessOrEqual:
		return "less than or equal to"
	}
	return string(o)
}

// Missing is how periods without a sample count.
type Missing string

// What a period without a sample is taken for.
const (
	MissingBreaching    Missing = "breaching"
	MissingNotBreaching Missing = "notBreaching"
	MissingIgnored      Missing = "ignore"  // the state stays as it is
	MissingMissing      Missing = "missing" // the default
)

// Rule is what an alarm watches for.
type Rule struct {
	Statistic  Statistic
	Operator   Operator
	Threshold  float64
	Period     time.Duration // whole minutes
	Periods    int           // that are looked at: EvaluationPeriods
	Datapoints int           // of them that have to breach; not more than Periods
	Missing    Missing
}

// behind is how many periods more than Periods are looked through for samples,
// so that one that is late or missing does not count while there are others.
const behind = 2

// Window is the time that a rule looks at: whole periods of which the last ends
// with the last full minute.
func (r Rule) Window(now time.Time) (from, to time.Time) {
	to = now.UTC().Truncate(time.Minute)
	return to.Add(-r.Period * time.Duration(r.Periods+behind)), to
}

// Verdict is what came of looking.
type Verdict struct {
	State  State
	Reason string
	// Recent are the periods that counted, newest first.
	Recent []Point
}

// Judge looks at the points of the rule's window at a time. was is the state
// before, which stays where there is too little to tell.
func (r Rule) Judge(points []Point, now time.Time, was State) Verdict {
	from, _ := r.Window(now)
	periods := Periods(points, from, r.Period)
	if len(periods) > r.Periods { // there are enough: older ones do not count
		periods = periods[len(periods)-r.Periods:]
	}
	v := Verdict{State: was}
	breaching := 0
	oldest := 0 // the age in periods of the oldest that breaches, 1 for the newest period
	for _, p := range slices.Backward(periods) {
		v.Recent = append(v.Recent, p)
		if r.Operator.breaches(p.Value(r.Statistic), r.Threshold) {
			breaching++
			oldest = r.Periods + behind - int(p.At.Sub(from)/r.Period)
		}
	}
	missing := r.Periods - len(periods)
	good := len(periods) - breaching
	switch {
	case breaching >= r.Datapoints:
		v.State = Alarm
	case missing == 0:
		v.State = OK
	case r.Missing == MissingBreaching:
		v.State = OK
		if breaching+missing >= r.Datapoints {
			v.State = Alarm
		}
	case r.Missing == MissingNotBreaching, good > 0:
		v.State = OK
	case r.Missing == MissingIgnored:
	case breaching == 0:
		v.State = InsufficientData
	case oldest >= r.Datapoints: // all since then breaches or is missing
		v.State = Alarm
	}
	v.Reason = r.reason(v, breaching, missing)
	return v
}

// maxTold is how many figures a reason tells, the newest: there may be one for
// each minute of a day, and a reason has 1023 characters at most.
const maxTold = 5

// reason says in the words of CloudWatch what led to a state.
func (r Rule) reason(v Verdict, breaching, missing int) string {
	if len(v.Recent) == 0 {
		text := fmt.Sprintf("Insufficient Data: %d %s unknown", r.Periods, plural(r.Periods, "datapoint was", "datapoints were"))
		if v.State == InsufficientData {
			return text + "."
		}
		return fmt.Sprintf("no datapoints were received for %d %s and %d missing %s treated as [%s].", r.Periods, plural(r.Periods, "period", "periods"),
			missing, plural(missing, "datapoint was", "datapoints were"), r.treated())
	}
	shown, kind := breaching, ""
	if v.State != Alarm {
		shown, kind = len(v.Recent)-breaching, "not "
	}
	var values []string
	for _, p := range v.Recent {
		if value := p.Value(r.Statistic); r.Operator.breaches(value, r.Threshold) == (v.State == Alarm) {
			if len(values) == maxTold {
				values = append(values, "...")
				break
			}
			values = append(values, fmt.Sprintf("%s (%s)", number(value), p.At.UTC().Format("02/01/06 15:04:05")))
		}
	}
	text := fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s %s%s the threshold (%s)",
		shown, r.Periods, strings.Join(values, ", "), plural(shown, "was", "were"), kind, r.Operator.words(), number(r.Threshold))
	if v.State == Alarm {
		text += fmt.Sprintf(" (minimum %d %s for OK -> ALARM transition)", r.Datapoints, plural(r.Datapoints, "datapoint", "datapoints"))
	} else if most := r.Periods - r.Datapoints + 1; len(v.Recent) >= most {
		text += fmt.Sprintf(" (minimum %d %s for ALARM -> OK transition)", most, plural(most, "datapoint", "datapoints"))
	}
	return text + "."
}

func (r Rule) treated() string {
	switch r.Missing {
	case MissingBreaching:
		return "Breaching"
	case MissingNotBreaching:
		return "NonBreaching"
	case MissingIgnored:
		return "Ignored"
	case MissingMissing:
	}
	return "Missing"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// number is a figure as CloudWatch writes it in reasons: with a fraction.
func number(x float64) string {
	text := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
