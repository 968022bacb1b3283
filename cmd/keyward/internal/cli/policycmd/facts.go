package policycmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/reference"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/scenario"
)

// policyFacts is what "keyward policy facts" was asked for.
type policyFacts struct {
	bundle   bundleFlag
	client   string
	scenario string
	name     string
	json     bool
}

func newPolicyFacts(terminal command.Terminal) *cobra.Command {
	var f policyFacts
	cmd := &cobra.Command{
		Use:   "facts",
		Short: "Print the facts that detection makes of a client",
		Long: `Prints what rules would read of a client: the facts with what they mean, the
detection tags, and where each passkey may be. No server is needed.

The client is a clientInformation document, or a request body that has one. With a
scenario its history, passkeys and clock count; its client does if none is given.`,
		Example: `  keyward policy facts --client client.json
  keyward policy facts --scenario mine.yaml --name 'two failures' --json`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.do(cmd, terminal) },
	}
	f.bundle.flag(cmd)
	cmd.Flags().StringVar(&f.client, "client", "", "JSON `file` with the client; - is standard input")
	cmd.Flags().StringVar(&f.scenario, "scenario", "", "scenario `file`")
	cmd.Flags().StringVar(&f.name, "name", "", "`name` of the scenario; empty = the only one in the file")
	cmd.Flags().BoolVar(&f.json, "json", false, "print facts, tags and passkeys as JSON")
	return cmd
}

func (f *policyFacts) do(cmd *cobra.Command, terminal command.Terminal) error {
	if f.client == "" && f.scenario == "" {
		return command.Usage(errors.New("--client or --scenario is needed"))
	}
	client, err := readClient(f.client, terminal.In)
	if err != nil {
		return command.Usage(err)
	}
	suite := scenario.Alone(time.Now())
	if f.scenario != "" {
		if suite, err = scenario.Read(f.scenario); err != nil {
			return command.Usage(refused(err))
		}
	}
	bundle, err := openBundle(cmd.Context(), f.bundle)
	if err != nil {
		return command.Usage(err)
	}
	found, err := bundle.Facts(cmd.Context(), suite, f.name, client)
	if errors.Is(err, scenario.ErrNoScenario) {
		return command.Usage(fmt.Errorf("--name: %w", err))
	} else if err != nil {
		return err
	}
	if f.json {
		return command.WriteJSON(cmd, found)
	}
	return f.write(cmd.OutOrStdout(), found)
}

// readClient reads a clientInformation document, alone or within a body; nil if no file is named.
func readClient(name string, in io.Reader) (*rest.ClientInformation, error) {
	var raw []byte
	var err error
	switch name {
	case "":
		return nil, nil
	case "-":
		raw, err = io.ReadAll(in)
	default:
		raw, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("--client: %w", err)
	}
	var body struct {
		ClientInformation *rest.ClientInformation `json:"clientInformation"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, fmt.Errorf("--client: the client is not a JSON object: %w", err)
	}
	if body.ClientInformation != nil {
		return body.ClientInformation, nil
	}
	var client rest.ClientInformation
	if err := json.Unmarshal(raw, &client); err != nil {
		return nil, fmt.Errorf("--client: %w", err)
	}
	return &client, nil
}

func (f *policyFacts) write(w io.Writer, found *scenario.Facts) error {
	source, err := f.bundle.open()
	if err != nil {
		return err
	}
	meanings, err := reference.Meanings(source, explain.Actions()...)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	flat := found.Flat()
	for _, path := range slices.Sorted(maps.Keys(flat)) {
		fmt.Fprintf(table, "%s\t%v\t%s\n", path, shown(flat[path]), meanings[path].Of(flat[path]))
	}
	fmt.Fprintf(table, "\nThe client was taken for\n    system\t%s\n    browser\t%s\n", found.Client.System, found.Client.Browser)
	if len(found.Lists) > 0 {
		fmt.Fprintln(table, "\nLists that name the client")
	}
	for _, m := range found.Lists {
		fmt.Fprintf(table, "    %s\n", m)
	}
	fmt.Fprintln(table, "\nDetection tags")
	for _, tag := range found.Tags {
		fmt.Fprintf(table, "    %s\n", tag)
	}
	if len(found.Passkeys) > 0 {
		fmt.Fprintln(table, "\nPasskeys")
	}
	for _, p := range found.Passkeys {
		line := explain.InWords(p)
		fmt.Fprintf(table, "    %s\t%s: %s [%s]\n", line.Held(), line.Where, line.Why, line.Reasons)
	}
	return table.Flush()
}

// shown is a value as it is printed: an empty text has to be seen.
func shown(value any) any {
	if value == "" {
		return `""`
	}
	return value
}
