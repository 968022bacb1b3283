package fleet

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// Table is printed with aligned columns.
type Table struct{ w *tabwriter.Writer }

// NewTable begins a table with a column for the name of each row and those given.
func NewTable(columns ...string) *Table {
	const padding = 2
	t := &Table{tabwriter.NewWriter(os.Stdout, 0, 0, padding, ' ', tabwriter.AlignRight)}
	fmt.Fprintln(t.w, "\t"+strings.Join(columns, "\t")+"\t")
	return t
}

// Row takes a format and a value for each column.
func (t *Table) Row(name string, cells ...any) {
	fmt.Fprint(t.w, name+"\t")
	for i := 0; i < len(cells); i += 2 {
		fmt.Fprintf(t.w, cells[i].(string)+"\t", cells[i+1])
	}
	fmt.Fprintln(t.w)
}

// Print writes the table to the standard output.
func (t *Table) Print() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
