// Command notices writes the licences of everything that the keyward binary is linked from: modules, the Go library, and the packages of
// the page that is built into it. It reads what lies on this machine (the module cache, node_modules) and nothing else, and fails
// where something has no licence that it knows, or one that may not be shipped. Run it from the root of the repository.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	check := flag.String("check", "", "compare with this file instead of writing")
	npm := flag.String("npm", "", "directories of npm packages, with commas between them")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *check, strings.FieldsFunc(*npm, func(r rune) bool { return r == ',' })); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, check string, npm []string) error {
	works, err := linked(ctx)
	if err != nil {
		return err
	}
	for _, dir := range npm {
		one, err := npmPackage(dir)
		if err != nil {
			return err
		}
		works = append(works, one)
	}
	text, err := notices(works)
	if err != nil {
		return err
	}
	if check == "" {
		_, err = io.WriteString(w, text)
		return err
	}
	kept, err := os.ReadFile(check)
	if err != nil {
		return err
	}
	if string(kept) != text {
		return fmt.Errorf("%s is out of date: make notices writes it", check)
	}
	return nil
}

// work is something with a licence: a module, an npm package.
type work struct {
	name  string
	files map[string]string // licences and notices by path within the work
}

// linked returns the modules that the binary is linked from, and the Go library.
func linked(ctx context.Context) ([]work, error) {
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-tags", "grpcnotrace", "-json=Dir,Standard,Module", "./cmd/keyward")
	// The same list wherever it is made: that of the image.
	list.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	list.Stderr = os.Stderr
	raw, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list what is linked: %w", err)
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find the Go library: %w", err)
	}
	goroot := strings.TrimSpace(string(root))
	library, err := licencesBetween(goroot, goroot)
	if err != nil {
		return nil, err
	}
	works := []work{{name: "Go", files: library}}
	known := map[string]map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(raw)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Standard || p.Module.Main || strings.HasPrefix(p.Module.Path, "github.com/keyward/keyward") {
			continue
		}
		name := p.Module.Path + " " + p.Module.Version
		if known[name] == nil {
			known[name] = map[string]string{}
			works = append(works, work{name: name, files: known[name]})
		}
		found, err := licencesBetween(p.Dir, p.Module.Dir)
		if err != nil {
			return nil, err
		}
		maps.Copy(known[name], found)
	}
	return works, nil
}

// noLicences have the name of a licence and are none of what is linked: source, and the terms of a logo and of documentation.
var noLicences = []string{"license.go", "notice.go", "LICENSE-LOGO", "LICENSE.docs"}

var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)([-._].*)?$`)
	bundled     = regexp.MustCompile(`(?i)\.js\.licen[cs]e\.txt$`) // what a bundler lists of the works that it has put into a script
)

// licencesBetween reads the licences and notices that lie in dir and in what is above it, up to root.
func licencesBetween(dir, root string) (map[string]string, error) {
	found := map[string]string{}
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			legal := licenceFile.MatchString(entry.Name()) || bundled.MatchString(entry.Name())
			if !legal || !entry.Type().IsRegular() || slices.Contains(noLicences, entry.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			path, err := filepath.Rel(root, filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			found[path] = strings.ReplaceAll(string(text), "\r\n", "\n")
		}
		if dir == root || len(dir) <= len(root) {
			return found, nil
		}
		dir = filepath.Dir(dir)
	}
}

func npmPackage(dir string) (work, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return work{}, err
	}
	var about struct{ Name, Version string }
	if err := json.Unmarshal(raw, &about); err != nil {
		return work{}, err
	}
	files, err := licencesBetween(dir, dir)
	return work{name: "npm " + about.Name + " " + about.Version, files: files}, err
}

// kinds are the licences that may be shipped, by words that only they have. The first that fits counts.
var kinds = []struct {
	name  string
	words *regexp.Regexp
}{
	{"Apache-2.0", regexp.MustCompile(`Apache License,? Version 2\.0`)},
	{"MPL-2.0", regexp.MustCompile(`(?i)Mozilla Public License,? Version 2\.0`)},
	{"BSD-3-Clause", regexp.MustCompile(`Redistribution and use in source and binary forms.*(Neither the name|endorse or promote)`)},
	{"BSD-2-Clause", regexp.MustCompile(`Redistribution and use in source and binary forms`)},
	{"MIT", regexp.MustCompile(`Permission is hereby granted, free of charge, to any person obtaining a copy`)},
	{"ISC", regexp.MustCompile(`Permission to use, copy, modify, and(/or)? distribute this software`)},
	{"Unlicense", regexp.MustCompile(`This is free and unencumbered software released into the public domain`)},
	{"BSL-1.0", regexp.MustCompile(`Boost Software License - Version 1\.0`)},
	{"public domain", regexp.MustCompile(`(?i)dedicated to the public domain|author disclaims copyright|is in the public domain`)},
	{"CC0-1.0", regexp.MustCompile(`CC0 1\.0 Universal`)},
}

// copyleft finds the licences that may not be shipped where others are named beside them.
var copyleft = regexp.MustCompile(`(?i)\b[AL]?GPL\b|General Public License`)

func kindOf(text string) string {
	// A licence of another kind may name one of these. What gives freedoms only with conditions on the whole is not for a binary of ours.
	flat := strings.Join(strings.Fields(text), " ")
	if regexp.MustCompile(`(?i)^.{0,200}GNU (Affero |Lesser |Library )?General Public License`).MatchString(flat) {
		return ""
	}
	for _, kind := range kinds {
		if kind.words.MatchString(flat) {
			return kind.name
		}
	}
	return ""
}

// shared is a text that several works have, but for who holds the copyright.
type shared struct {
	kind, text string
	holders    []string
}

var copyright = regexp.MustCompile(`(?i)^\W*(copyright\b.*|all rights reserved\.?|the mit license( \(mit\))?|mit license)$`)

// notices writes every licence, each text once. Works come by name.
func notices(works []work) (string, error) {
	slices.SortFunc(works, func(a, b work) int { return strings.Compare(a.name, b.name) })
	texts := map[string]*shared{}
	var own strings.Builder // notices, which belong to one work
	var faults []error
	for _, one := range works {
		licensed := false
		for _, path := range slices.Sorted(maps.Keys(one.files)) {
			text := one.files[path]
			if bundled.MatchString(path) && copyleft.MatchString(text) {
				faults = append(faults, fmt.Errorf("%s: %s names a licence that may not be shipped", one.name, path))
			}
			if bundled.MatchString(path) || strings.HasPrefix(strings.ToLower(filepath.Base(path)), "notice") {
				fmt.Fprintf(&own, "%s\n%s, %s\n\n%s\n", rule, one.name, path, strings.TrimSpace(text))
				continue
			}
			kind := kindOf(text)
			if kind == "" {
				faults = append(faults, fmt.Errorf("%s: %s is no licence that may be shipped", one.name, path))
				continue
			}
			licensed = true
			add(texts, one.name, path, kind, text)
		}
		if !licensed {
			faults = append(faults, fmt.Errorf("%s has no licence", one.name))
		}
	}
	if len(faults) > 0 {
		return "", errors.Join(faults...)
	}
	all := slices.SortedFunc(maps.Values(texts), func(a, b *shared) int {
		return strings.Compare(a.kind+a.holders[0]+a.text, b.kind+b.holders[0]+b.text)
	})
	var b strings.Builder
	b.WriteString("Keyward is linked from the works below. make notices writes this file.\n\n")
	for _, one := range all {
		fmt.Fprintf(&b, "%s\n%s\n\n", rule, one.kind)
		for _, holder := range one.holders {
			b.WriteString(holder + "\n")
		}
		b.WriteString("\n" + one.text + "\n\n")
	}
	return b.String() + own.String(), nil
}

var rule = strings.Repeat("-", 80)

// add keeps a licence: its text without who holds the copyright, and with it the work and those lines.
func add(texts map[string]*shared, name, path, kind, text string) {
	holder := "* " + name
	if strings.Contains(path, "/") {
		holder += " (" + path + ")"
	}
	var body []string
	for line := range strings.SplitSeq(text, "\n") {
		if trimmed := strings.TrimSpace(line); kind != "Apache-2.0" && copyright.MatchString(trimmed) {
			if strings.HasPrefix(strings.ToLower(trimmed), "copyright") {
				holder += "\n    " + trimmed
			}
			continue
		}
		body = append(body, strings.TrimRight(line, " \t"))
	}
	plain := strings.TrimSpace(strings.Join(body, "\n"))
	key := strings.ToLower(strings.Join(strings.Fields(plain), " "))
	if kind == "Apache-2.0" {
		// The text is one and the same; what differs is the appendix, which says how to use it.
		key = kind
	}
	if texts[key] == nil {
		texts[key] = &shared{kind: kind, text: plain}
	}
	// The longest form of the Apache licence is the whole of it.
	if len(plain) > len(texts[key].text) {
		texts[key].text = plain
	}
	texts[key].holders = append(texts[key].holders, holder)
}
