package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/limits"
)

// What to do about errors, for someone who writes rules and not Go.
const (
	adviseForbidden = "policies may call only functions whose answer depends on their arguments alone, so that a decision can be evaluated " +
		"again: " +
		"use a fact of the input or a parameter of data.json instead"
	adviseSyntax = "correct the syntax there or just above; `opa fmt` points at it, too"
	adviseBounds = "its cost is not bounded by the size of its arguments, and one call could end the process: use a fact of the input or a " +
		"parameter of data.json instead"
	adviseFormat    = "write the format as a text, with widths of at most 99"
	adviseTest      = "correct the rule, or the test if what it does now is meant"
	adviseManifest  = "correct .manifest, or move the data below one of its roots"
	adviseSchema    = "restore the file from the default bundle, and describe in it what your rules read beyond that"
	adviseUnsafe    = "give the variable a value before it is used, or correct its name"
	adviseUnused    = "remove it, or use it: what nobody uses is often a misspelt name"
	adviseRecursion = "break the circle: a rule cannot depend on itself"
	adviseConflict  = "rename one of the two or remove it"
	adviseDeclare   = "declare the name with := or some, or correct it"
	adviseCall      = "look at the arguments that the function takes, their number and types, in OPA's reference of built-in functions"
	adviseStrict    = "write the rule without it; strict mode is on for every policy"
	adviseNoFact    = "rules read facts of the input, parameters and other rules: correct the name, or define it"
)

// AdviseSlow says what to do about rules or tests that take too long.
const AdviseSlow = "look for a rule that goes through every combination of long lists, and count in fewer steps"

// AdviseTime says what to do about tests that did not end: as likely as not they were given too little time.
const AdviseTime = "give the check more time (--timeout, or policy_check_timeout of a server), or, if that does not help, " + AdviseSlow

// adviseCompiler says what to do about an error of OPA's parser, type checker or compiler.
func adviseCompiler(e *ast.Error) string {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(e.Message, part) })
	}
	switch {
	case e.Code == ast.ParseErr:
		return adviseSyntax
	case e.Code == ast.UnsafeVarErr:
		return adviseUnsafe
	case e.Code == ast.RecursionErr:
		return adviseRecursion
	case strings.HasPrefix(e.Message, "undefined function "):
		return adviseFunction(strings.TrimPrefix(e.Message, "undefined function "))
	case has("undefined ref"):
		return adviseReference(e)
	case has("multiple default", "conflicting", "conflict with", "redeclared", "declared above", "shadow"):
		return adviseConflict
	case has("unused"):
		return adviseUnused
	case has("deprecated"):
		return adviseStrict
	case has("arity mismatch", "invalid argument", "has arity", "too many arguments", "too few arguments"):
		return adviseCall
	case has("referenced above", "not declared"):
		return adviseDeclare
	default:
		return adviseSyntax
	}
}

// adviseFunction tells functions that a policy may not call from those that nobody knows.
func adviseFunction(name string) string {
	var allowed []string
	for _, builtin := range ast.CapabilitiesForThisVersion().Builtins {
		if builtin.Name != name {
			allowed = append(allowed, builtin.Name)
			continue
		}
		if limits.Unbounded(name) {
			return adviseBounds
		}
		return adviseForbidden
	}
	return "define the function or correct its name" + didYouMean(name, allowed)
}

// adviseReference lists what could stand in the place of a name that does not exist.
func adviseReference(e *ast.Error) string {
	detail, ok := e.Details.(*ast.RefErrInvalidDetail)
	if !ok || len(detail.OneOf) == 0 {
		return adviseNoFact
	}
	names := make([]string, 0, len(detail.OneOf))
	for _, value := range detail.OneOf {
		if name, ok := value.(ast.String); ok {
			names = append(names, string(name))
		}
	}
	wrong, _ := detail.Ref[detail.Pos].Value.(ast.String)
	if near := didYouMean(string(wrong), names); near != "" {
		return strings.TrimPrefix(near, "; ")
	}
	return fmt.Sprintf("%s has %s", detail.Ref[:detail.Pos], strings.Join(names, ", "))
}

// didYouMean suggests the name that is nearest, if one is near.
func didYouMean(wrong string, names []string) string {
	const tolerance = 3 // one wrong letter of so many
	nearest, best := "", max(1, (len(wrong)+1)/tolerance)+1
	for _, name := range names {
		if distance := levenshtein.ComputeDistance(strings.ToLower(wrong), strings.ToLower(name)); distance < best {
			nearest, best = name, distance
		}
	}
	if nearest == "" {
		return ""
	}
	return "; did you mean " + nearest + "?"
}

// described is the part of the parameters' schema that advice reads.
type described struct {
	Description string                     `json:"description"`
	Properties  map[string]json.RawMessage `json:"properties"`
}

// describe finds what the schema says of a parameter, or of its nearest ancestor.
func (b *Bundle) describe(parameter []string) described {
	var found described
	_, schema := b.files.Schema(parametersSchema)
	if json.Unmarshal(schema, &found) != nil {
		return described{}
	}
	for _, name := range parameter {
		var inner described
		if raw, ok := found.Properties[name]; !ok || json.Unmarshal(raw, &inner) != nil {
			break
		}
		found = inner
	}
	return found
}

func (b *Bundle) adviseParameter() string {
	file, _ := b.files.Schema(parametersSchema)
	return file + " describes every parameter"
}

func (b *Bundle) adviseUnknown(parameter []string) string {
	siblings := b.describe(parameter[:len(parameter)-1]).Properties
	return b.adviseParameter() + didYouMean(parameter[len(parameter)-1], slices.Sorted(maps.Keys(siblings)))
}

func (b *Bundle) adviseMissing(parameter []string) string {
	advice := "add it beside the others"
	if text := b.describe(parameter).Description; text != "" {
		advice += ": " + strings.TrimSuffix(text, ".")
	}
	return advice
}

func (b *Bundle) adviseValue(parameter []string) string {
	if text := b.describe(parameter).Description; text != "" {
		return "it means: " + strings.TrimSuffix(text, ".")
	}
	return b.adviseParameter()
}

// adviseEntrypoint says what a bundle without an entrypoint needs.
func adviseEntrypoint(entrypoint string) string {
	parts := strings.Split(entrypoint, ".")
	name := parts[len(parts)-2]
	return fmt.Sprintf("define %s in the package %s, for example in %s, with a default that says no",
		parts[len(parts)-1], strings.Join(parts[1:len(parts)-1], "."), path.Join(name, name+".rego"))
}
