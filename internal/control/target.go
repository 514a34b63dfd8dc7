package control

import (
	"reflect"

	"packhouse/internal/arn"
	"packhouse/internal/artifact"
	"packhouse/internal/fault"
	"packhouse/internal/restjson"
)

// target is what an input names, in the members that many inputs share.
type target struct {
	id artifact.RepositoryID // Name is empty where the operation names no repository
	c  artifact.Coordinates  // as sent; see API.coordinates
}

// targetOf reads the members Domain, DomainOwner, Repository, Format, Namespace
// and Package of an input (a pointer to one), as far as it has them. A domain
// owner that is left out is the caller's own account (section 3).
func targetOf(c *restjson.Call, in any) target {
	v := reflect.ValueOf(in).Elem()
	text := func(name string) string {
		if f := v.FieldByName(name); f.IsValid() {
			return f.String()
		}
		return ""
	}
	t := target{
		id: artifact.RepositoryID{Owner: text("DomainOwner"), Domain: text("Domain"), Name: text("Repository")},
		c:  artifact.Coordinates{Format: artifact.Format(text("Format")), Namespace: text("Namespace"), Name: text("Package")},
	}
	if t.id.Owner == "" {
		t.id.Owner = callerOf(c).Account()
	}
	return t
}

// coordinates gives the canonical spelling of a package's name, Invalid for a
// name that the format does not allow. Of a format that is not served here only
// the rules about namespaces are known (section 1).
func (a *API) coordinates(c artifact.Coordinates) (artifact.Coordinates, error) {
	switch {
	case c.Namespace == "" && c.Format.NamespaceRequired():
		return c, fault.Field("namespace", "is required for %s packages", c.Format)
	case c.Namespace != "" && !c.Format.NamespaceAllowed():
		return c, fault.Field("namespace", "%s packages have none", c.Format)
	}
	e, err := a.opt.Registry.Ecosystem(c.Format)
	if err != nil {
		return c, nil //nolint:nilerr // not served: there is nothing of it, and that is the answer
	}
	return e.Normalize(c)
}

// packageOf is targetOf with canonical coordinates.
func (a *API) packageOf(c *restjson.Call, in any) (target, error) {
	t := targetOf(c, in)
	var err error
	t.c, err = a.coordinates(t.c)
	return t, err
}

// scope declares from an input what an operation needs permission for.
type scope func(a *API, c *restjson.Call, action string, in any) []restjson.Need

func onDomain(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	id := targetOf(c, in).id
	return []restjson.Need{{Action: action, Resource: a.domainARN(id)}}
}

func onRepository(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	id := targetOf(c, in).id
	return []restjson.Need{{Action: action, Resource: a.repositoryARN(id)}}
}

func onPackage(a *API, c *restjson.Call, action string, in any) []restjson.Need {
	t, err := a.packageOf(c, in)
	if err != nil {
		t.c = targetOf(c, in).c // the operation says what is wrong, to those who may hear it
	}
	return []restjson.Need{{Action: action, Resource: a.packageARN(t.id, t.c)}}
}

// filtered is for listings that leave out what the caller may not list.
func filtered(*API, *restjson.Call, string, any) []restjson.Need { return nil }

func (a *API) domainARN(id artifact.RepositoryID) string {
	return arn.Domain(a.opt.Region, id.Owner, id.Domain).String()
}

func (a *API) repositoryARN(id artifact.RepositoryID) string {
	return arn.Repository(a.opt.Region, id.Owner, id.Domain, id.Name).String()
}

func (a *API) packageARN(id artifact.RepositoryID, c artifact.Coordinates) string {
	return arn.Package(a.opt.Region, id.Owner, id.Domain, id.Name, string(c.Format), c.Namespace, c.Name).String()
}
