package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/ident"
)

// ServerFlags are the settings by which a command finds a running server.
func ServerFlags(flags *pflag.FlagSet) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(all)
	for _, name := range []string{"data-dir", "nats-url", "nats-credentials"} {
		flags.AddFlag(all.Lookup(name))
	}
}

// FindServer returns the server that the flags and the environment name. Errors are of usage.
func FindServer(terminal Terminal, flags *pflag.FlagSet) (admin.Server, error) {
	cfg, err := config.Load("", terminal.Environ, flags)
	if err != nil {
		return admin.Server{}, Usage(fmt.Errorf("configuration:\n%w", err))
	}
	keys, err := cfg.EncryptionKeys()
	if err != nil {
		return admin.Server{}, Usage(fmt.Errorf("configuration: %w", err))
	}
	return admin.Server{URL: cfg.NATS.URL, DataDir: cfg.NATS.DataDir, CredentialsFile: cfg.NATS.CredentialsFile, Keys: keys}, nil
}

// WithProjects runs do with the projects of the server that the command's flags name. A change that is not in the stream of security events
// is an error, though it is done.
func WithProjects(cmd *cobra.Command, terminal Terminal, do func(context.Context, *admin.Projects) error) error {
	server, err := FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 15*time.Second)
	defer cancel()
	projects, err := admin.Open(ctx, server, cmd.CommandPath())
	if err != nil {
		return fmt.Errorf("find the server: %w", err)
	}
	defer projects.Close()
	return errors.Join(do(ctx, projects), projects.Unrecorded())
}

// ProjectFlag names the project that a command is about.
func ProjectFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "project", "", "ID of the project")
}

// ErrNoProject says that a command needs to be told its project.
var ErrNoProject = Usage(errors.New("--project is needed; keyward project list shows all"))

// ParseProject returns the project that --project names, or ErrNoProject.
func ParseProject(id string) (ident.ProjectID, error) {
	if id == "" {
		return "", ErrNoProject
	}
	project, err := ident.ParseProjectID(id)
	if err != nil {
		return "", Usage(fmt.Errorf("--project: %w", err))
	}
	return project, nil
}

// CheckProject is ParseProject where no project means all of them.
func CheckProject(project string) (ident.ProjectID, error) {
	if project == "" {
		return "", nil
	}
	return ParseProject(project)
}
