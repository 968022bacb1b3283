package userapi

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// Caller is who calls, once the token has been verified.
type Caller struct {
	Project     ident.ProjectID
	User        ident.UserID // who the token is of; empty: a service user, who is nobody's self
	Permissions []string     // of operations, as the protos name them, or project.AllPermissions
}

// Permits reports whether the caller may act for users that it is not.
func (c Caller) Permits(permission string) bool {
	return slices.Contains(c.Permissions, permission) || slices.Contains(c.Permissions, project.AllPermissions)
}

// Outcome is what became of a call.
type Outcome struct {
	Procedure string // /zitadel.user.v2.UserService/RegisterPasskey, whatever the protocol; empty: the call was for none
	Code      string // of gRPC, as Connect writes it: ok, not_found
	Decision  ident.DecisionID
	Policy    string // revision of the policy that decided
	Err       error  // what went wrong, for the log
}

// Deps are what the user service works with. All but Observe and Log are required.
type Deps struct {
	Registrations service.Registrations
	// Admit authenticates a call by its headers, before anything of its body is read. Its faults are answered as they are.
	Admit func(*http.Request) (Caller, error)
	// Observe is told of every call once, with the context of the request, also of those that Admit refused.
	Observe func(context.Context, Outcome)
	// MaxBytes bounds a message; larger ones are refused.
	MaxBytes int
	// Timeout bounds a call whose client states no deadline, and those whose client states a longer one.
	Timeout time.Duration
	Log     *slog.Logger
}
