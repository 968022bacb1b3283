// Package bound reads the bounds of a canary as commands are given them. It is pure.
package bound

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

// Parse reads bounds by their names in the Operator API.
func Parse(given []string) (*operator.PolicyBounds, error) {
	var b operator.PolicyBounds
	whole := map[string]**int32{"errors": &b.Errors, "settleSeconds": &b.SettleSeconds, "leastEvaluations": &b.LeastEvaluations}
	number := map[string]**float64{
		"defaultDeny": &b.DefaultDeny, "allow": &b.Allow, "completed": &b.Completed, "p99Factor": &b.P99Factor, "p99FloorMs": &b.P99FloorMs,
		"confidence": &b.Confidence,
	}
	for _, text := range given {
		name, figure, _ := strings.Cut(text, "=")
		switch {
		case whole[name] != nil:
			n, err := strconv.ParseInt(figure, 10, 32)
			if err != nil {
				return nil, command.Usage(fmt.Errorf("--bound %s: %q must be a whole number", name, figure))
			}
			*whole[name] = new(int32(n))
		case number[name] != nil:
			f, err := strconv.ParseFloat(figure, 64)
			if err != nil {
				return nil, command.Usage(fmt.Errorf("--bound %s: %q must be a number", name, figure))
			}
			*number[name] = &f
		default:
			return nil, command.Usage(fmt.Errorf("--bound %q: there is no such bound; see keyward policy canary begin --help", text))
		}
	}
	return &b, nil
}
