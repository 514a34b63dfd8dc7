package restjson

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"time"

	"packhouse/internal/fault"
)

// Time is a timestamp of the API: in JSON a number of seconds since 1970, with
// a fraction of milliseconds when there is one.
type Time struct{ time.Time }

var timeType = reflect.TypeFor[Time]()

// At makes a Time.
func At(t time.Time) *Time { return &Time{t} }

// MarshalJSON writes the number. Milliseconds, because that is what AWS
// keeps, and a float of more digits would not survive its readers.
func (t Time) MarshalJSON() ([]byte, error) {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(nil, ms/1000, 10), nil
	}
	return strconv.AppendFloat(nil, float64(ms)/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads the number.
func (t *Time) UnmarshalJSON(b []byte) error {
	s, err := strconv.ParseFloat(string(b), 64)
	if err != nil || s != s || s < -1e11 || s > 1e12 {
		return fault.New(fault.Invalid, "not a timestamp")
	}
	t.Time = time.UnixMilli(int64(math.Round(s * 1000))).UTC()
	return nil
}

// MarshalCBOR writes epoch time (RFC 8949, 3.4.2) in seconds, as a float of 64
// bits.
func (t Time) MarshalCBOR() ([]byte, error) {
	const epoch, float64s = 0xc1, 0xfb
	return binary.BigEndian.AppendUint64([]byte{epoch, float64s}, math.Float64bits(float64(t.UnixMilli())/1000)), nil
}
