// Package admin finds a running server's NATS, by a URL or in the data directory, and manages its projects and operators. It touches what
// is kept of projects, of their keys and of operators, and writes what it did to the stream of security events.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/core/sighting"
)

// Server says where a server's NATS is.
type Server struct {
	URL             secret.Text // empty = as the data directory says
	DataDir         string
	CredentialsFile string       // for URL; empty = what the URL holds
	Keys            *atrest.Keys // that it stores secrets under; nil = none
}

// Projects manages the projects of a running server. Close it.
type Projects struct {
	conn  *nats.Conn
	store *project.Store
	keys  *atrest.Keys
	told  *audit.Told
}

const connectTimeout = 5 * time.Second

// Open connects for a command. The error says how to name a server if none is found.
func Open(ctx context.Context, server Server, command string) (*Projects, error) {
	conn, err := Connect(server, "keyward project")
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	store, err := open(ctx, js)
	if err != nil {
		conn.Close()
		return nil, err
	}
	told := audit.NewRecorder(js, audit.Actor{Kind: audit.Command, Name: command}, time.Now).Tell()
	store.TellTo(told)
	return &Projects{conn: conn, store: store, keys: server.Keys, told: told}, nil
}

// Connect returns a connection to a server's NATS under a name that its operator sees. The error says how to name a server if none is
// found. Close it.
func Connect(server Server, name string) (*nats.Conn, error) {
	address := server.URL.Reveal()
	options := []nats.Option{nats.Name(name), nats.Timeout(connectTimeout), nats.NoReconnect()}
	if address == "" {
		found, err := bus.ServerURL(server.DataDir)
		switch {
		case errors.Is(err, bus.ErrNotListening):
			return nil, fmt.Errorf("%w; start it with nats_addr set, such as 127.0.0.1:4222", err)
		case err != nil:
			return nil, fmt.Errorf("%w; start one with keyward serve, or name it with --data-dir or --nats-url", err)
		}
		address = found
	} else if server.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(server.CredentialsFile))
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return nil, fmt.Errorf("no server answers at %s; is keyward serve running? %w", secret.URL(address), err)
	}
	return conn, nil
}

// JetStream is Connect for what is kept in streams and buckets. Calling closes ends the connection.
func JetStream(server Server, name string) (js jetstream.JetStream, closes func(), err error) {
	conn, err := Connect(server, name)
	if err != nil {
		return nil, nil, fmt.Errorf("find the server: %w", err)
	}
	if js, err = jetstream.New(conn); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("open jetstream: %w", err)
	}
	return js, conn.Close, nil
}

func open(ctx context.Context, js jetstream.JetStream) (*project.Store, error) {
	bucket, err := js.KeyValue(ctx, bus.ProjectsBucket)
	if err != nil {
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil, errors.New("that NATS holds no projects yet; start keyward serve with it first")
		}
		return nil, fmt.Errorf("open projects: %w", err)
	}
	store, err := project.NewStore(ctx, bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("open projects: %w", err)
	}
	return store, nil
}

// Unrecorded returns nil if all that was changed is in the stream of security events, and otherwise audit.ErrUnrecorded.
func (p *Projects) Unrecorded() error { return p.told.Err() }

// Close ends the connection.
func (p *Projects) Close() { p.conn.Close() }

// New describes a project to create.
type New struct {
	ID      string // empty = random
	Name    string // empty = the relying party's name
	RPID    string
	RPName  string // empty = the RP ID
	Origins []string
	Related []string // origins on other domains
}

// Create stores a project with a random secret, which it returns; nobody can read it again.
func (p *Projects) Create(ctx context.Context, n New, now time.Time) (project.Project, secret.Text, error) {
	id := ident.ProjectID(n.ID)
	if id == "" {
		id = ident.NewProjectID()
	}
	if n.RPName == "" {
		n.RPName = n.RPID
	}
	if n.Name == "" {
		n.Name = n.RPName
	}
	text := project.NewSecret()
	made, err := project.New(id, n.Name, n.RPID, n.RPName, n.Origins, text, now)
	if err != nil {
		return project.Project{}, "", fmt.Errorf("create a project: %w", Plain(err))
	}
	if err := made.SetOrigins(n.Origins, n.Related); err != nil {
		return project.Project{}, "", fmt.Errorf("create a project: %w", Plain(err))
	}
	if err := p.store.Create(ctx, made); err != nil {
		return project.Project{}, "", fmt.Errorf("create project %s: %w", id, Plain(err))
	}
	return made, secret.Text(text), nil
}

// List returns all projects, ordered by ID.
func (p *Projects) List() []project.Project { return p.store.All() }

// Update changes what an update names, and returns the project as it is then.
func (p *Projects) Update(ctx context.Context, id string, u project.Update) (project.Project, error) {
	if err := p.store.Change(ctx, ident.ProjectID(id), u.Apply); err != nil {
		return project.Project{}, fmt.Errorf("update project %s: %w", id, Plain(err))
	}
	changed, _ := p.store.Lookup(ident.ProjectID(id))
	return changed, nil
}

// RotateSecret gives a project another random secret and returns it. The old one stops working at once.
func (p *Projects) RotateSecret(ctx context.Context, id string) (secret.Text, error) {
	text := project.NewSecret()
	hash := project.HashSecret(text)
	if err := p.store.Update(ctx, ident.ProjectID(id), func(stored *project.Project) { stored.Secret = hash }); err != nil {
		return "", fmt.Errorf("rotate the secret of project %s: %w", id, Plain(err))
	}
	return secret.Text(text), nil
}

// RotateRiskKey gives a project another key of what is counted, and returns which it is.
func (p *Projects) RotateRiskKey(ctx context.Context, id string, now time.Time) (sighting.Version, error) {
	var version sighting.Version
	err := p.store.Update(ctx, ident.ProjectID(id), func(stored *project.Project) {
		stored.RotateSightingKey(now)
		version = stored.SightingVersion
	})
	if err != nil {
		return sighting.Version{}, fmt.Errorf("rotate the key of what is counted of project %s: %w", id, Plain(err))
	}
	return version, nil
}

// Delete removes a project; its credentials stop working at once.
func (p *Projects) Delete(ctx context.Context, id string) error {
	if err := p.store.Delete(ctx, ident.ProjectID(id)); err != nil {
		return fmt.Errorf("delete project %s: %w", id, Plain(err))
	}
	return nil
}

// Plain says what a fault says to a person at a terminal: the fields and the cause, without the wire's name of the kind.
func Plain(err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return err
	}
	var said []error
	for _, v := range f.Validation {
		said = append(said, fmt.Errorf("%s: %s", v.Field, v.Message))
	}
	if f.Details != "" {
		said = append(said, errors.New(f.Details))
	}
	return errors.Join(append(said, f.Unwrap())...)
}
