// Package releasecmd is the part of "keyward policy" that works with the revisions in a server's store: it pushes them, shows and compares
// them, and makes them live. It calls the Operator API, and touches directories that it is told to.
package releasecmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
	"github.com/keyward/keyward/services/decision/packed"
)

// Commands are what "keyward policy" can do with the store, in the order of its help.
func Commands(terminal command.Terminal) []*cobra.Command {
	all := []*cobra.Command{
		newPush(terminal), newList(terminal), newShow(terminal), newPull(terminal), newDiff(terminal),
		newShadow(terminal), newCanary(terminal), newActivate(terminal), newRollback(terminal), newHistory(terminal), newStatus(terminal),
	}
	for _, cmd := range all {
		calls(cmd)
	}
	return all
}

// calls gives a command, and those below it, what it takes to call a server.
func calls(cmd *cobra.Command) {
	for _, below := range cmd.Commands() {
		calls(below)
	}
	if cmd.HasSubCommands() {
		return
	}
	command.OperatorFlags(cmd.Flags())
	cmd.Long = strings.TrimSpace(cmd.Long) + "\n\n" + command.OperatorTokenHelp
}

// live is what commands call the revision that is live.
const live = "live"

var errNothingLive = errors.New("no revision is live yet; keyward policy activate makes one live")

// api is the Operator API of the server that a command's flags name.
type api struct{ *operatorclient.Client }

func connect(cmd *cobra.Command, terminal command.Terminal) (api, error) {
	client, err := command.FindOperatorAPI(cmd, terminal)
	return api{client}, err
}

// number returns the number that an argument names: itself, or that of what is live.
func (a api) number(ctx context.Context, text string) (int32, error) {
	if text != live {
		return parseNumber(text)
	}
	status, err := a.Status(ctx)
	switch {
	case err != nil:
		return 0, err
	case status.Live == nil:
		return 0, errNothingLive
	}
	return status.Live.Revision, nil
}

// parseNumber reads the number of a revision.
func parseNumber(text string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, command.Usage(fmt.Errorf("%q: must be the number of a revision, or %s; keyward policy list shows all", text, live))
	}
	return int32(n), nil
}

// files returns the files of a revision.
func (a api) files(ctx context.Context, number int32) (packed.Files, error) {
	got, err := a.GetBundle(ctx, number)
	if err != nil {
		return nil, err
	}
	files, err := packed.Unpack(got.Bundle)
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", number, err)
	}
	return files, nil
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func by(actor operator.PolicyActor) string { return command.Word(actor.Name) }

// optional is a number that there need not be, as commands print it.
func optional(n *int32) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(int(*n))
}

func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// firstLine is as much of a message as a table shows.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return printable(line)
}

// printable is text of others as a terminal may show it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) || r == '\n' || r == '\t' {
			return r
		}
		return '\ufffd'
	}, text)
}
