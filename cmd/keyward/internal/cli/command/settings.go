package command

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/internal/config"
)

// helpWidth is where lines of help end, in characters: what two terminals beside each other show.
const helpWidth = 120

// SettingsFlags gives a command --config, which file is bound to, and a flag for each setting. Its help lists the settings by subject,
// behind the flags that are the command's own.
func SettingsFlags(cmd *cobra.Command, file *string) { groupFlags(cmd, file, config.FlagGroups()) }

// StorageFlags is SettingsFlags for a command that goes by what is said of where things are stored, and how.
func StorageFlags(cmd *cobra.Command, file *string) {
	const directory = "data-dir"
	var kept []config.FlagGroup
	for _, g := range config.FlagGroups() {
		if f := g.Flags.Lookup(directory); f != nil {
			cmd.Flags().AddFlag(f)
		}
		if g.Title == "Storage" {
			kept = append(kept, g)
		}
	}
	groupFlags(cmd, file, kept)
}

func groupFlags(cmd *cobra.Command, file *string, groups []config.FlagGroup) {
	cmd.Flags().StringVar(file, "config", "", "YAML file with settings ("+config.FileEnv+")")
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.Flags)
	}
	plain := new(cobra.Command).UsageFunc()
	cmd.SetUsageFunc(func(c *cobra.Command) error {
		if c != cmd {
			return plain(c) // a command below it
		}
		if err := withoutGroups(groups, func() error { return plain(c) }); err != nil {
			return err
		}
		for _, g := range groups {
			if _, err := fmt.Fprintf(c.OutOrStderr(), "\n%s:\n%s", g.Title, g.Flags.FlagUsagesWrapped(helpWidth)); err != nil {
				return fmt.Errorf("print help: %w", err)
			}
		}
		return nil
	})
}

// withoutGroups hides the settings while do prints a command's usage.
func withoutGroups(groups []config.FlagGroup, do func() error) error {
	hide := func(hidden bool) {
		for _, g := range groups {
			g.Flags.VisitAll(func(f *pflag.Flag) { f.Hidden = hidden })
		}
	}
	hide(true)
	defer hide(false)
	return do()
}
