// Package retyped knows facts that have values of another type than in an earlier version: a bundle of that version which reads one would
// judge by what its author did not mean. It is pure.
package retyped

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// schema is as much of one as has to be read.
type schema struct {
	Type       string            `json:"type"`
	Properties map[string]schema `json:"properties"`
}

// Check refuses a bundle whose rules read used.backupChanged, which was true or false, and whose schema still says so.
func Check(loaded *bundle.Bundle, reads map[string][]string) error {
	const path, name = "used.backupChanged", "risk"
	read := false
	for _, some := range reads {
		read = read || slices.Contains(some, path)
	}
	file, content := bundlefile.Files(loaded.Files()).Schema(name)
	if !read || content == nil {
		return nil
	}
	var said schema
	if err := json.Unmarshal(content, &said); err != nil {
		return &bundle.Error{File: file, Line: 1, Message: fmt.Sprintf("it cannot be read: %v", err)}
	}
	if said.Properties["used"].Properties["backupChanged"].Type != "boolean" {
		return nil
	}
	return &bundle.Error{
		File: file, Line: 1, Message: "input." + path + " is none or state now, and was false or true",
		Advice: `take this file of the default bundle, and compare with "state"`,
	}
}
