// Package all is the list of package formats the house speaks. A new format is
// one line here.
package all

import (
	"packhouse/internal/format"
	"packhouse/internal/format/generic"
	"packhouse/internal/format/maven"
	"packhouse/internal/format/npm"
	"packhouse/internal/format/nuget"
	"packhouse/internal/format/pypi"
)

// Formats gives every format, in the API's order.
func Formats() []format.Format {
	return []format.Format{
		npm.New(),
		pypi.New(),
		maven.New(),
		nuget.New(),
		generic.New(),
	}
}
