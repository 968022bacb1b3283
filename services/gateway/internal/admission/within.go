package admission

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/operation"
	"github.com/keyward/keyward/services/gateway/internal/scope"
)

// within holds a call to the projects that its operator sees. One of which the path names another project is told what it would be told if
// there were none. Where a filter says what is asked for, the project is put into it if the operator has one alone.
func within(c *fiber.Ctx, caller *operator.Operator, of scope.Scope) error {
	if !caller.Limited() {
		return nil
	}
	switch of.Kind {
	case scope.OfAll, scope.ByAnswer:
		return nil
	case scope.ByPath:
		named, _ := url.PathUnescape(c.Params(scope.PathParameter))
		if !caller.Sees(ident.ProjectID(named)) {
			return operation.ErrNoProject
		}
		return nil
	case scope.ByFilter:
		return withinFilter(c, caller, of.Field)
	default:
		return beyond("it concerns all projects, and the operator is limited to some")
	}
}

func withinFilter(c *fiber.Ctx, caller *operator.Operator, field string) error {
	uri := c.Request().URI()
	asked, err := contract.Query(string(uri.QueryString()))
	if err != nil {
		return fault.Field("query", "must be percent-encoded name=value pairs joined by &")
	}
	named := false
	for _, filter := range asked[scope.QueryParameter] {
		value, of := strings.CutPrefix(filter, field+":")
		if !of {
			continue
		}
		project, equals := strings.CutPrefix(value, "eq:")
		if !equals || !caller.Sees(ident.ProjectID(project)) {
			return beyond("the operator does not see the project that the filter names")
		}
		named = true
	}
	switch {
	case named:
		return nil
	case len(caller.Projects) > 1:
		return beyond("the operator is limited to some projects; name one of them: filter[]=" + field + ":eq:" + string(caller.Projects[0]))
	}
	added := url.QueryEscape(scope.QueryParameter) + "=" + url.QueryEscape(field+":eq:"+string(caller.Projects[0]))
	if query := string(uri.QueryString()); query != "" {
		added = query + "&" + added
	}
	uri.SetQueryString(added)
	return nil
}

func beyond(why string) error {
	return &fault.Fault{Type: fault.TypeLoginError, Status: http.StatusForbidden, Details: why}
}
