package naming

import "github.com/keyward/keyward/services/decision/internal/declared"

// Label and Labels are what facts have of names that a bundle declares.
type (
	Label  = declared.Label
	Labels = declared.Labels
)

// NewLabels is declared.NewLabels.
func NewLabels(names, has []string) Labels { return declared.NewLabels(names, has) }
