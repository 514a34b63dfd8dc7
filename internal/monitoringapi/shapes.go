package monitoringapi

import (
	"packhouse/internal/metric"
	"packhouse/internal/restjson"
)

// shapes are the constraints of the service model of CloudWatch.
func shapes() restjson.Shapes {
	const name = `[^\x{00}-\x{1F}\x{7F}]+`
	var statistics, operators []string
	for _, s := range metric.Statistics() {
		statistics = append(statistics, string(s))
	}
	for _, o := range metric.Operators() {
		operators = append(operators, string(o))
	}
	return restjson.Shapes{
		"AlarmName":       {Min: 1, Max: 255, Pattern: name},
		"AlarmNames":      {Max: 100, Member: "AlarmName"},
		"AlarmPrefix":     {Min: 1, Max: 255, Pattern: name},
		"Description":     {Max: 1024},
		"Actions":         {Max: 5, Member: "Action"},
		"Action":          {Min: 1, Max: 1024},
		"ActionPrefix":    {Min: 1, Max: 1024},
		"MetricName":      {Min: 1, Max: 255},
		"Namespace":       {Min: 1, Max: 255, Pattern: `[^:].*`},
		"Dimensions":      {Max: 30},
		"DimensionName":   {Min: 1, Max: 255, Pattern: `[^:].*`},
		"DimensionValue":  {Min: 1, Max: 1024},
		"Statistic":       {Enum: statistics},
		"Statistics":      {Min: 1, Max: 5, Member: "Statistic"},
		"Extended":        {Min: 1, Max: 10},
		"Period":          {Min: 1, Max: 604800},
		"DataPeriod":      {Min: 1, Max: 365 * 86400},
		"Periods":         {Min: 1},
		"Unit":            {Enum: units()},
		"Operator":        {Enum: append(operators, "LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")},
		"Missing":         {Enum: []string{string(metric.MissingBreaching), string(metric.MissingNotBreaching), string(metric.MissingIgnored), string(metric.MissingMissing)}},
		"State":           {Enum: []string{string(metric.OK), string(metric.Alarm), string(metric.InsufficientData)}},
		"Reason":          {Max: 1023},
		"ReasonData":      {Max: 4000},
		"AlarmTypes":      {Max: 3, Member: "AlarmType"},
		"AlarmType":       {Enum: []string{"CompositeAlarm", "MetricAlarm", "LogAlarm"}},
		"HistoryType":     {Enum: []string{"ConfigurationUpdate", "StateUpdate", "Action", "AlarmContributorStateUpdate", "AlarmContributorAction"}},
		"ScanBy":          {Enum: []string{"TimestampDescending", "TimestampAscending"}},
		"MaxRecords":      {Min: 1, Max: 100},
		"NextToken":       {Min: 1, Max: 8192},
		"Queries":         {Min: 1, Max: 500},
		"QueryID":         {Min: 1, Max: 255, Pattern: `[a-z][A-Za-z0-9_]*`},
		"Stat":            {Min: 1, Max: 64},
		"Expression":      {Min: 1, Max: 2048},
		"Datapoints":      {Min: 1, Max: 100800},
		"RecentlyActive":  {Enum: []string{"PT3H"}},
		"AccountID":       {Min: 1, Max: 255},
		"ResourceARN":     {Min: 1, Max: 1024},
		"Tags":            {Max: 50},
		"TagKey":          {Min: 1, Max: 128},
		"TagValue":        {Max: 256},
		"TagKeys":         {Max: 50, Member: "TagKey"},
		"LowSampleCounts": {Enum: []string{"evaluate", "ignore"}},
	}
}

// units are those of CloudWatch, of which the metrics here have three.
func units() []string {
	list := []string{"Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"}
	for _, of := range []string{"Bytes", "Bits"} {
		for _, scale := range []string{"", "Kilo", "Mega", "Giga", "Tera"} {
			word := of
			if scale != "" {
				word = scale + string(of[0]|0x20) + of[1:]
			}
			list = append(list, word, word+"/Second")
		}
	}
	return list
}
