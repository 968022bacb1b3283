package main

import (
	"strings"
	"testing"
)

const mit = "MIT License\n\nCopyright (c) 2026 %s\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\nof this."

func licensed(name, text string) work {
	return work{name: name, files: map[string]string{"LICENSE": text}}
}

func TestATextIsWrittenOnceWithAllWhoHoldIt(t *testing.T) {
	t.Parallel()
	text, err := notices([]work{
		licensed("b", strings.ReplaceAll(mit, "%s", "Bo")), licensed("a", strings.ReplaceAll(mit, "%s", "Al")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(text, "Permission is hereby granted") != 1 {
		t.Errorf("not once:\n%s", text)
	}
	if want := "* a\n    Copyright (c) 2026 Al\n* b\n    Copyright (c) 2026 Bo\n"; !strings.Contains(text, want) {
		t.Errorf("without %q:\n%s", want, text)
	}
}

func TestWhatABundleHoldsIsWrittenAsItIs(t *testing.T) {
	t.Parallel()
	text, err := notices([]work{{
		name: "npm c 1.0.0", files: map[string]string{"LICENSE": mit, "c.js.LICENSE.txt": "/*! b. MIT License. Bo */\n"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "npm c 1.0.0, c.js.LICENSE.txt\n\n/*! b. MIT License. Bo */\n"; !strings.Contains(text, want) {
		t.Errorf("without %q:\n%s", want, text)
	}
}

func TestWhatMayNotBeShippedIsNamed(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]work{
		"copyleft":             licensed("c", "GNU GENERAL PUBLIC LICENSE\nVersion 3"),
		"affero":               licensed("c", "GNU Affero General Public License, or the Apache License, Version 2.0 for parts"),
		"unknown":              licensed("c", "All rights reserved."),
		"none":                 {name: "c"},
		"a notice":             {name: "c", files: map[string]string{"NOTICE": "Apache License Version 2.0"}},
		"a bundle alone":       {name: "c", files: map[string]string{"c.js.LICENSE.txt": mit}},
		"copyleft in a bundle": {name: "c", files: map[string]string{"LICENSE": mit, "c.js.LICENSE.txt": "/*! b. GPL-3.0 */"}},
	} {
		if _, err := notices([]work{w}); err == nil || !strings.Contains(err.Error(), "c") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
