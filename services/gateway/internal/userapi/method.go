package userapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/keyward/keyward/api/keyward/options/v1"
)

// method is what the proto says of one method.
type method struct {
	procedure  string // /zitadel.user.v2.UserService/RegisterPasskey
	service    string // /zitadel.user.v2.UserService/
	permission string
	ownUser    bool   // whether users may call it for themselves without the permission
	verb       string // of HTTP
	path       string // /v2/users/{user_id}/passkeys
}

// methodsOf reads methods from the descriptors of services, by procedure.
func methodsOf(services ...protoreflect.ServiceDescriptor) (map[string]method, error) {
	found := make(map[string]method)
	for _, service := range services {
		for i := range service.Methods().Len() {
			m, err := methodOf(service.Methods().Get(i))
			if err != nil {
				return nil, fmt.Errorf("method %s: %w", service.Methods().Get(i).FullName(), err)
			}
			found[m.procedure] = m
		}
	}
	return found, nil
}

func methodOf(d protoreflect.MethodDescriptor) (method, error) {
	permission, _ := proto.GetExtension(d.Options(), optionsv1.E_Permission).(*optionsv1.Permission)
	if permission.GetPermission() == "" {
		return method{}, errors.New("names no permission")
	}
	rule, _ := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
	service := "/" + string(d.Parent().FullName()) + "/"
	m := method{
		procedure: service + string(d.Name()), service: service, permission: permission.GetPermission(), ownUser: permission.GetOwnUser(),
	}
	switch {
	case rule.GetPost() != "":
		m.verb, m.path = http.MethodPost, rule.GetPost()
	case rule.GetDelete() != "":
		m.verb, m.path = http.MethodDelete, rule.GetDelete()
	default:
		return method{}, errors.New("has no route")
	}
	return m, nil
}

// pattern returns the route as the router of the JSON API names it.
func (m method) pattern() string { return m.verb + " " + strings.ReplaceAll(m.path, "}", "=*}") }

// matches reports whether the route is one of that path.
func (m method) matches(path string) bool {
	return slices.EqualFunc(strings.Split(m.path, "/"), strings.Split(path, "/"), func(part, given string) bool {
		return part == given || strings.HasPrefix(part, "{")
	})
}
