package control

import (
	"math"
	"time"

	"packhouse/internal/catalog"
	"packhouse/internal/control/api"
	"packhouse/internal/restjson"
)

// forecast draws a line through the averages of days by least squares, and says
// where it is at a time, with the range in which a new day would be 19 times of
// 20 (twice the standard error of a prediction). It is nil for fewer than three
// days.
func forecast(days []catalog.SeriesPoint, at time.Time) *api.StorageGrowth {
	n := float64(len(days))
	if n < 3 {
		return nil
	}
	x := func(t time.Time) float64 { return t.Sub(days[0].Time).Hours() / 24 }
	y := func(p catalog.SeriesPoint) float64 { return float64(p.Sum) / float64(p.Count) }
	var mx, my float64
	for _, p := range days {
		mx, my = mx+x(p.Time)/n, my+y(p)/n
	}
	var sxx, sxy float64
	for _, p := range days {
		dx := x(p.Time) - mx
		sxx, sxy = sxx+dx*dx, sxy+dx*(y(p)-my)
	}
	slope := sxy / sxx
	var squares float64
	for _, p := range days {
		off := y(p) - (my + slope*(x(p.Time)-mx))
		squares += off * off
	}
	ahead := x(at) - mx
	expected := my + slope*ahead
	within := 2 * math.Sqrt(squares/(n-2)*(1+1/n+ahead*ahead/sxx))
	return &api.StorageGrowth{
		Days: int32(len(days)), BytesPerDay: whole(slope), ForecastTime: restjson.At(at),
		ExpectedBytes: whole(max(expected, 0)), LowBytes: whole(max(expected-within, 0)), HighBytes: whole(max(expected+within, 0)),
	}
}

// whole is a number of bytes, held to what can be written.
func whole(f float64) int64 {
	const most = 1 << 62
	return int64(math.Round(min(max(f, -most), most)))
}
