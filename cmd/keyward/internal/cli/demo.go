package cli

import "github.com/spf13/cobra"

func newDemo(Terminal) *cobra.Command { return &cobra.Command{Use: "demo"} }
