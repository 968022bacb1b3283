package admission

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// credential is what a caller sent to prove who it is.
type credential struct {
	project ident.ProjectID
	bearer  bool
	key     string // ID of the API key, with bearer
	secret  string
}

// authenticate reads HTTP Basic (RFC 7617), where the user is the project ID and the password the API secret, or an API key as a bearer
// token (RFC 6750). An unknown project and an unknown key cost the same comparison as known ones. Who failed too often is told no more
// than that; the right credentials are taken from whatever address, which others may share. Secrets are too long to be guessed.
func (d *Door) authenticate(ctx context.Context, x *exchange.Exchange) error {
	sent, ok := readCredential(x.Asked.Peek(fiber.HeaderAuthorization))
	if !ok {
		return fault.Login("send the project ID and the API secret as HTTP Basic authentication, or an API key as Bearer")
	}
	return d.prove(ctx, x, sent, exchange.HeaderProjectID)
}

// prove sets the project of an exchange if what was sent proves that the caller belongs to it, and none of the headers names another one.
func (d *Door) prove(ctx context.Context, x *exchange.Exchange, sent credential, headers ...string) error {
	known, key, ok, err := d.verify(ctx, sent)
	switch {
	case err != nil:
		return err
	case ok:
	case sent.bearer:
		return d.wrong(ctx, x, sent.project, fault.Login("the API key is wrong"))
	default:
		return d.wrong(ctx, x, sent.project, fault.Login("the project ID or the API secret is wrong"))
	}
	if key != nil && key.Expired(d.now()) {
		return fault.Login("the API key has expired")
	}
	if err := belong(x, known, headers...); err != nil {
		return err
	}
	x.Key = key
	return nil
}

// belong makes it an exchange of a project, unless one of the headers names another one.
func belong(x *exchange.Exchange, known project.Project, headers ...string) error {
	for _, header := range headers {
		if named := x.Asked.Peek(header); len(named) > 0 && string(named) != string(known.ID) {
			return &fault.Fault{
				Type: fault.TypeProjectIDMismatch, Status: http.StatusForbidden,
				Details: header + " names another project than the credential",
			}
		}
	}
	x.Project, x.Origins, x.Salt = known.ID, known.Origins, known.Salt()
	return nil
}

// verify compares what was sent with what is kept. Without a key, the project's own secret was sent. It fails if nobody can say at the
// moment whether there is such a project.
func (d *Door) verify(ctx context.Context, sent credential) (project.Project, *project.APIKey, bool, error) {
	known, err := d.projects.Find(ctx, sent.project)
	found := err == nil
	if !found && !errors.Is(err, project.ErrUnknown) {
		return project.Project{}, nil, false, err
	}
	kept := known.Secret
	var key *project.APIKey
	if sent.bearer && found {
		var named project.APIKey
		if named, found = known.Key(sent.key); found {
			kept, key = named.Hash, &named
		}
	}
	if !found {
		kept = d.decoy
	}
	matches := kept.Matches(sent.secret)
	return known, key, matches && found, nil
}

// permit refuses a key that lacks the permission. The API secret may call everything.
func permit(x *exchange.Exchange, permission string) error {
	if x.Key == nil || x.Key.Permits(permission) {
		return nil
	}
	return &fault.Fault{Type: fault.TypeLoginError, Status: http.StatusForbidden, Details: "the API key lacks the permission " + permission}
}

// readCredential returns false for a header that is neither scheme, or not of its form.
func readCredential(header []byte) (credential, bool) {
	if token, ok := cutScheme(header, "bearer "); ok {
		key, ok := project.ParseAPIKey(string(token))
		return credential{project: key.Project, bearer: true, key: key.ID, secret: key.Secret}, ok
	}
	encoded, ok := cutScheme(header, "basic ")
	if !ok {
		return credential{}, false
	}
	var room [256]byte // most take less
	decoded, err := base64.StdEncoding.AppendDecode(room[:0], encoded)
	if err != nil {
		return credential{}, false
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	return credential{project: ident.ProjectID(user), secret: password}, ok
}

func cutScheme(header []byte, scheme string) ([]byte, bool) {
	if len(header) < len(scheme) || !strings.EqualFold(string(header[:len(scheme)]), scheme) {
		return nil, false
	}
	return bytes.TrimSpace(header[len(scheme):]), true
}
