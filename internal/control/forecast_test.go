package control

import (
	"testing"
	"time"

	"packhouse/internal/catalog"
)

func TestForecast(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	days := func(values ...int64) (out []catalog.SeriesPoint) {
		for i, v := range values {
			out = append(out, catalog.SeriesPoint{Time: begin.Add(time.Duration(i) * day), Sum: v * 1440, Count: 1440})
		}
		return out
	}
	if got := forecast(days(10, 20), begin); got != nil {
		t.Errorf("of two days: %+v", got)
	}
	straight := forecast(days(100, 110, 120, 130), begin.Add(13*day))
	if straight.BytesPerDay != 10 || straight.ExpectedBytes != 230 || straight.LowBytes != 230 || straight.HighBytes != 230 {
		t.Errorf("a line: %+v", straight)
	}
	rough := forecast(days(100, 130, 110, 140, 120, 150), begin.Add(30*day))
	if rough.LowBytes >= rough.ExpectedBytes || rough.HighBytes <= rough.ExpectedBytes || rough.LowBytes < 0 {
		t.Errorf("rough: %+v", rough)
	}
	if near := forecast(days(100, 130, 110, 140, 120, 150), begin.Add(6*day)); near.HighBytes-near.LowBytes >= rough.HighBytes-rough.LowBytes {
		t.Errorf("near: %+v, far: %+v", near, rough)
	}
	if falling := forecast(days(300, 200, 100), begin.Add(100*day)); falling.ExpectedBytes != 0 || falling.BytesPerDay != -100 {
		t.Errorf("falling: %+v", falling)
	}
}
