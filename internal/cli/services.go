package cli

import (
	"packhouse/internal/control"
	"packhouse/internal/eventsapi"
	"packhouse/internal/iamapi"
	"packhouse/internal/monitoringapi"
	"packhouse/internal/snsapi"
)

// Services are the APIs whose operations are sub-commands.
func Services() []Service {
	list := []Service{{Name: control.Service, ID: "codeartifact", Rows: control.Table()}}
	names := []string{iamapi.STS, iamapi.IAM}
	for i, s := range iamapi.Services() {
		list = append(list, Service{Name: names[i], ID: names[i], Rows: s.Rows, Query: s.Version})
	}
	events, sns := eventsapi.Table(), snsapi.Table()
	return apart(append(list,
		Service{Name: eventsapi.Service, ID: "eventbridge", Rows: events.Rows, Target: events.Target},
		Service{Name: monitoringapi.Service, ID: "cloudwatch", Rows: monitoringapi.Table(), Target: monitoringapi.Target},
		Service{Name: snsapi.Service, ID: "sns", Rows: sns.Rows, Query: sns.Version}))
}

// apart tells of operations that two services have under one name: the first keeps
// it.
func apart(list []Service) []Service {
	taken := map[string]bool{}
	for i := range list {
		s := &list[i]
		for _, row := range s.Rows {
			if taken[row.Name()] {
				s.Shared = append(s.Shared, row.Name())
			}
			taken[row.Name()] = true
		}
	}
	return list
}
