package value

import (
	"strings"

	"github.com/spf13/pflag"
)

// EnvPrefix begins the name of every environment variable.
const EnvPrefix = "KEYWARD_"

// Setting is the public side of one configuration value: its names, what it means, and the value itself inside a Config.
type Setting struct {
	Section string
	Key     string // in the file; Env and Flag follow from it
	Doc     string // what it is, in a sentence
	Note    string // for the reference: what it survives and costs; may be empty
	Secret  bool   // Value prints as stars, and Env+"_FILE" may name a file that holds it

	Value pflag.Value // bound to the Config that Settings was called on
}

// Env returns the name of the environment variable.
func (s Setting) Env() string { return EnvPrefix + strings.ToUpper(s.Key) }

// Flag returns the name of the command-line flag, without dashes.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, "_", "-") }
