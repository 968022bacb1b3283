package keyward_test

import (
	"go/parser"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ARCHITECTURE.md has a table of the rooms of the services that have many. Tests stand on ceremonytest, which no reader looks for there.
func TestEachRoomIsInTheTablesOfTheArchitecture(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string // by the tables' rows
	service := ""
	for line := range strings.Lines(string(text)) {
		cell, isRow := strings.CutPrefix(line, "| ")
		if !isRow {
			continue
		}
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(strings.SplitN(cell, "|", 2)[0], -1)
		for i, name := range names {
			if strings.HasPrefix(name[1], "services/") && strings.HasSuffix(name[1], "/") {
				service = name[1]
				continue
			}
			// internal/ is said once for all the names of a row.
			inside := i > 0 && strings.HasPrefix(names[0][1], "internal/") && !strings.HasPrefix(name[1], "internal/")
			if inside {
				name[1] = "internal/" + name[1]
			}
			told = append(told, service+name[1])
		}
	}
	rooms := map[string]bool{}
	for _, f := range goFiles(t, ".", parser.PackageClauseOnly) {
		for _, parent := range []string{"services/ceremony/internal/", "services/ceremony/", "services/gateway/internal/"} {
			inside, below := strings.CutPrefix(path.Dir(f.name), parent)
			if room, _, _ := strings.Cut(inside, "/"); below && room != "internal" && room != "ceremonytest" {
				rooms[parent+room] = true
				break
			}
		}
	}
	for room := range rooms {
		if !slices.Contains(told, room) {
			t.Errorf("ARCHITECTURE.md does not say what %s is for", room)
		}
	}
	for _, name := range told {
		if (strings.HasPrefix(name, "services/ceremony/") || strings.HasPrefix(name, "services/gateway/")) && !rooms[name] {
			t.Errorf("ARCHITECTURE.md tells of %s, which is not there", name)
		}
	}
}
