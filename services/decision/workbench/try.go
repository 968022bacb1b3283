package workbench

import (
	"io/fs"
	"maps"
	"strings"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// withScenarios returns the files of a bundle with the scenarios that are to be run beside them; they are no part of a bundle, and are not
// kept.
func withScenarios(files bundlefile.Files, wanted *operator.PolicyScenariosToRun) (bundlefile.Files, error) {
	all := maps.Clone(files)
	if wanted.Shipped {
		err := fs.WalkDir(policies.Bundle, "scenarios", func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(name, ".yaml") {
				all[name], err = fs.ReadFile(policies.Bundle, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range wanted.Files {
		all[wanted.Files[i].File] = []byte(wanted.Files[i].Text)
	}
	return all, nil
}
