package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// table is printed with aligned columns.
type table struct{ w *tabwriter.Writer }

func newTable(columns ...string) *table {
	const padding = 2
	t := &table{tabwriter.NewWriter(os.Stdout, 0, 0, padding, ' ', tabwriter.AlignRight)}
	fmt.Fprintln(t.w, "\t"+strings.Join(columns, "\t")+"\t")
	return t
}

// row takes a format and a value for each column.
func (t *table) row(name string, cells ...any) {
	fmt.Fprint(t.w, name+"\t")
	for i := 0; i < len(cells); i += 2 {
		fmt.Fprintf(t.w, cells[i].(string)+"\t", cells[i+1])
	}
	fmt.Fprintln(t.w)
}

func (t *table) print() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
