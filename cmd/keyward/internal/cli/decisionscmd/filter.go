package decisionscmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/replay"
)

// Filter is which decisions are meant, as flags say.
type Filter struct {
	project, user, action, since string
	indexed                      map[string]*string // by field: what the index alone tells apart
	tags                         []string
	allow                        bool
	either                       bool // no word of allow: both are meant
	byIndex                      bool // the Operator API is asked
}

func (f *Filter) flags(cmd *cobra.Command, otherwise string) {
	f.Whose(cmd)
	cmd.Flags().StringSliceVar(&f.tags, "tag", nil, "only decisions with this `tag`; repeatable")
	cmd.Flags().BoolVar(&f.allow, "allow", false, "only decisions that allowed; --allow=false: only those that did not")
	cmd.Flags().StringVar(&f.since, "since", "", "only decisions since this `time`: 24h for a day ago, or RFC 3339; empty = "+otherwise)
	command.ServerFlags(cmd.Flags())
	command.OperatorURLFlag(cmd.Flags())
	f.indexed = map[string]*string{}
	for _, of := range indexed() {
		f.indexed[of.field] = cmd.Flags().String(of.flag, "", "only decisions "+of.means+"; with --operator-url")
	}
}

// Whose adds the flags that say whose decisions are meant, and about what.
func (f *Filter) Whose(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.project, "project", "", "only decisions of the project with this `ID`")
	cmd.Flags().StringVar(&f.user, "user", "", "only decisions about the user with this `ID`")
	cmd.Flags().StringVar(&f.action, "action", "", "only decisions about "+actions())
}

// given reports whether a flag says which decisions are meant.
func given(cmd *cobra.Command) bool {
	names := []string{"project", "user", "action", "tag", "allow", "since"}
	for _, of := range indexed() {
		names = append(names, of.flag)
	}
	return slices.ContainsFunc(names, cmd.Flags().Changed)
}

func actions() string {
	all := explain.Actions()
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// read returns what the server is to select. What it cannot is left to means.
func (f *Filter) read(cmd *cobra.Command, now time.Time) (replay.Selection, error) {
	var selection replay.Selection
	var err error
	if selection.Project, err = command.CheckProject(f.project); err != nil {
		return selection, err
	}
	if f.user != "" {
		if selection.User, err = ident.ParseUserID(f.user); err != nil {
			return selection, command.Usage(fmt.Errorf("--user: %w", err))
		}
	}
	if f.action != "" && !slices.Contains(explain.Actions(), f.action) {
		return selection, command.Usage(fmt.Errorf("--action: must be %s", actions()))
	}
	selection.Action = f.action
	for _, of := range indexed() {
		if f.indexed != nil && *f.indexed[of.field] != "" && !f.byIndex {
			return selection, command.Usage(fmt.Errorf("--%s: needs --operator-url: it is the index of a server that is asked then", of.flag))
		}
	}
	given := cmd.Flags().Lookup("allow")
	f.either = given == nil || !given.Changed
	selection.Since, err = command.Since(f.since, now)
	return selection, err
}

// means reports whether a decision is meant that the server has selected.
func (f *Filter) means(r *replay.Record) bool {
	return (f.either || r.Allow == f.allow) && (len(f.tags) == 0 || slices.Contains(f.tags, string(r.Tag)))
}

// Newest returns the newest decision that is meant. The error wraps replay.ErrNotFound if there is none.
func (f *Filter) Newest(ctx context.Context, cmd *cobra.Command, records *replay.Records) (replay.Record, error) {
	selection, err := f.read(cmd, time.Now())
	if err != nil {
		return replay.Record{}, err
	}
	if f.either && len(f.tags) == 0 {
		return records.Newest(ctx, selection)
	}
	var newest replay.Record
	err = records.Each(ctx, selection, func(record replay.Record, _ uint64) (bool, error) {
		if f.means(&record) {
			newest = record
		}
		return true, nil
	})
	if err == nil && newest.ID == "" {
		err = fmt.Errorf("of those that are meant: %w", replay.ErrNotFound)
	}
	return newest, err
}

// WithRecords runs do with the decision records of the server that the command's flags name.
func WithRecords(cmd *cobra.Command, terminal command.Terminal, do func(context.Context, *replay.Records) error) error {
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	js, closes, err := admin.JetStream(server, "keyward decisions")
	if err != nil {
		return err
	}
	defer closes()
	return do(cmd.Context(), replay.NewRecords(js))
}
