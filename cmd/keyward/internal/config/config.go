// Package config reads the configuration of a process: defaults, then a YAML file, then environment variables, then flags, each overriding
// the one before. It reads the files it is told to and nothing else; what the values mean is the business of package app.
package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/plainfile"
)

// FileEnv names the YAML file when the flag --config does not.
const FileEnv = settings.EnvPrefix + "CONFIG"

// What commands that call the Operator API read beside settings. The token may be in a file, too, that OperatorTokenEnv with _FILE names.
const (
	OperatorURLEnv   = settings.EnvPrefix + "OPERATOR_URL"
	OperatorTokenEnv = settings.EnvPrefix + "OPERATOR_TOKEN"
)

// ofCommands are the variables that are no settings.
func ofCommands() []string {
	return []string{FileEnv, OperatorURLEnv, OperatorTokenEnv, OperatorTokenEnv + fileSuffix}
}

const (
	// Keys hold no dots, so a nested key in the file shows up with one and is unknown.
	delimiter  = "."
	fileSuffix = "_FILE"
)

// boolType is how settings that are true or false call themselves.
const boolType = "bool"

// JoinFlags returns arguments with the value of each flag that may go without one joined to it: --trying-page false is --trying-page=false,
// and whatever else follows --trying-page is not its value.
func JoinFlags(args []string) []string {
	mayGoWithout := map[string]bool{}
	defaults := settings.DefaultConfig()
	for _, s := range defaults.Settings() {
		mayGoWithout["--"+s.Flag()] = s.Value.Type() == boolType
	}
	var joined []string
	for _, arg := range args {
		if last := len(joined) - 1; last >= 0 && mayGoWithout[joined[last]] && (arg == "true" || arg == "false") {
			joined[last] += "=" + arg
			continue
		}
		joined = append(joined, arg)
	}
	return joined
}

// FlagGroup is the flags of settings that belong together, in the order of the reference.
type FlagGroup struct {
	Title string
	Flags *pflag.FlagSet
}

// FlagGroups returns a flag for each setting. The values that they are given are read by Load.
func FlagGroups() []FlagGroup {
	defaults := settings.DefaultConfig()
	var groups []FlagGroup
	for _, s := range defaults.Settings() {
		i := slices.IndexFunc(groups, func(g FlagGroup) bool { return g.Title == s.Section })
		if i < 0 {
			i = len(groups)
			groups = append(groups, FlagGroup{s.Section, pflag.NewFlagSet(s.Section, pflag.ContinueOnError)})
			groups[i].Flags.SortFlags = false
		}
		usage := strings.TrimSuffix(s.Doc, ".") + " (" + s.Env() + ")"
		groups[i].Flags.Var(s.Value, s.Flag(), usage)
		if s.Value.Type() == boolType {
			groups[i].Flags.Lookup(s.Flag()).NoOptDefVal = "true"
		}
	}
	return groups
}

// AddFlags adds all of them.
func AddFlags(flags *pflag.FlagSet) {
	for _, g := range FlagGroups() {
		flags.AddFlagSet(g.Flags)
	}
}

// Load returns the configuration: the defaults, changed by the YAML file at path (empty = the one that FileEnv names, if any), by environ
// ("KEY=value") and by those of flags that were set. The error names every key at fault, and for an unknown one the key that is meant, if
// there is one like it. A configuration without error is valid.
func Load(path string, environ []string, flags *pflag.FlagSet) (settings.Config, error) {
	cfg := settings.DefaultConfig()
	all := map[string]settings.Setting{}
	for _, s := range cfg.Settings() {
		all[s.Key] = s
	}
	layers := []func() (*koanf.Koanf, error){
		func() (*koanf.Koanf, error) { return fromFile(path, environ, all) },
		func() (*koanf.Koanf, error) { return fromEnvironment(environ, all) },
		func() (*koanf.Koanf, error) { return fromFlags(flags, all) },
	}
	merged := koanf.New(delimiter)
	var errs []error
	for _, layer := range layers {
		values, err := layer()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := merged.Merge(values); err != nil {
			errs = append(errs, fmt.Errorf("merge configuration: %w", err))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := apply(merged, all[key]); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return settings.Config{}, err
	}
	cfg.Follow(merged.Exists)
	if err := cfg.Validate(); err != nil {
		return settings.Config{}, err
	}
	return cfg, nil
}

func apply(values *koanf.Koanf, s settings.Setting) error {
	if !values.Exists(s.Key) {
		return nil
	}
	text, err := asText(values.Get(s.Key))
	if err != nil {
		return fmt.Errorf("%s: %w", s.Key, err)
	}
	if err := s.Value.Set(text); err != nil {
		return fmt.Errorf("%s: %w", s.Key, err)
	}
	return nil
}

// asText turns what YAML made of a value back into text: each setting reads its own.
func asText(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = fmt.Sprint(item)
		}
		return strings.Join(items, ","), nil
	case map[string]any:
		return "", errors.New("must be a value, not a mapping")
	default:
		return fmt.Sprint(v), nil
	}
}

func fromFile(path string, environ []string, all map[string]settings.Setting) (*koanf.Koanf, error) {
	values := koanf.New(delimiter)
	if path == "" {
		path = lookup(environ, FileEnv)
	}
	if path == "" {
		return values, nil
	}
	raw, err := plainfile.ReadOnce(path, plainfile.MaxText)
	if err != nil {
		return nil, fmt.Errorf("read configuration file: %w", err)
	}
	read, err := yaml.Parser().Unmarshal(raw)
	if err == nil {
		err = values.Load(confmap.Provider(read, delimiter), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration file %s: %w", path, err)
	}
	var errs []error
	for _, key := range values.Keys() {
		if _, known := all[key]; !known {
			errs = append(errs, fmt.Errorf("%s: unknown key %s%s", path, key, Suggest(key, slices.Collect(maps.Keys(all)))))
		}
	}
	return values, errors.Join(errs...)
}

func fromEnvironment(environ []string, all map[string]settings.Setting) (*koanf.Koanf, error) {
	names := map[string]settings.Setting{}
	commands := ofCommands()
	known := commands
	for _, s := range all {
		names[s.Env()] = s
		known = append(known, s.Env())
		if s.Secret {
			known = append(known, s.Env()+fileSuffix)
		}
	}
	var errs []error
	transform := func(name, value string) (string, any) {
		switch {
		case slices.Contains(commands, name) || injected(name):
			return "", nil
		case slices.Contains(known, name) && names[name].Key != "":
			return names[name].Key, value
		case slices.Contains(known, name):
			// A secret in a file: read below, where it can be compared with the variable without the suffix.
			return "", nil
		}
		errs = append(errs, fmt.Errorf("unknown variable %s%s", name, Suggest(name, known)))
		return "", nil
	}
	values := koanf.New(delimiter)
	provider := env.Provider(
		delimiter, env.Opt{Prefix: settings.EnvPrefix, TransformFunc: transform, EnvironFunc: func() []string { return environ }},
	)
	if err := values.Load(provider, nil); err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if s := all[key]; s.Secret {
			errs = append(errs, fromSecretFile(values, environ, s))
		}
	}
	return values, errors.Join(errs...)
}

func fromSecretFile(values *koanf.Koanf, environ []string, s settings.Setting) error {
	path := lookup(environ, s.Env()+fileSuffix)
	if path == "" {
		return nil
	}
	if values.Exists(s.Key) {
		return fmt.Errorf("%s and %s are both set; set one", s.Env(), s.Env()+fileSuffix)
	}
	raw, err := plainfile.ReadOnce(path, plainfile.MaxText)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Env()+fileSuffix, err)
	}
	if err := values.Load(confmap.Provider(map[string]any{s.Key: strings.TrimSpace(string(raw))}, delimiter), nil); err != nil {
		return fmt.Errorf("%s: %w", s.Env()+fileSuffix, err)
	}
	return nil
}

func fromFlags(flags *pflag.FlagSet, all map[string]settings.Setting) (*koanf.Koanf, error) {
	values := koanf.New(delimiter)
	if flags == nil {
		return values, nil
	}
	provider := posflag.ProviderWithFlag(flags, delimiter, nil, func(f *pflag.Flag) (string, any) {
		key := strings.ReplaceAll(f.Name, "-", "_")
		if _, known := all[key]; !known || !f.Changed {
			return "", nil
		}
		return key, revealed(f.Value)
	})
	if err := values.Load(provider, nil); err != nil {
		return nil, fmt.Errorf("read flags: %w", err)
	}
	return values, nil
}

// revealed returns the text of a flag's value, also if it prints as stars.
func revealed(value pflag.Value) string {
	if s, ok := value.(interface{ Reveal() string }); ok {
		return s.Reveal()
	}
	return value.String()
}

func lookup(environ []string, name string) string {
	for _, pair := range environ {
		if value, found := strings.CutPrefix(pair, name+"="); found {
			return value
		}
	}
	return ""
}

// injected reports whether a variable is one of those that Kubernetes sets in every container for a service called keyward or
// keyward-something. They are not meant for us.
func injected(name string) bool {
	matched, err := regexp.MatchString(
		`^KEYWARD_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`,
		name,
	)
	return err == nil && matched
}

// Suggest names the known key that is most like an unknown one, unless none is.
func Suggest(unknown string, known []string) string {
	slices.Sort(known)
	best, distance := "", len(unknown)/3+1
	for _, candidate := range known {
		if d := levenshtein.ComputeDistance(unknown, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
