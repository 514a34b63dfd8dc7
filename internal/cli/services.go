package cli

import (
	"packhouse/internal/control"
	"packhouse/internal/eventsapi"
	"packhouse/internal/iamapi"
)

// Services are the APIs whose operations are sub-commands.
func Services() []Service {
	list := []Service{{Name: control.Service, ID: "codeartifact", Rows: control.Table()}}
	names := []string{iamapi.STS, iamapi.IAM}
	for i, s := range iamapi.Services() {
		list = append(list, Service{Name: names[i], ID: names[i], Rows: s.Rows, Query: s.Version})
	}
	events := eventsapi.Table()
	return append(list, Service{Name: eventsapi.Service, ID: "eventbridge", Rows: events.Rows, Target: events.Target})
}
