package contract

// nullsKeyword is what a schema says if a member that is null, of its objects and of all within them, is as one that is absent: SDKs write
// null for what they do not know, and what is not known is no fault.
const nullsKeyword = "x-nulls"

func nullsAbsent(schema map[string]any) bool { return schema[nullsKeyword] == "absent" }

// dropNulls takes out of value, which is to fit the schema at pointer, the members that are as absent. absent says whether a schema around
// it takes null so.
func (d *Document) dropNulls(value any, pointer string, absent bool) {
	pointer = d.resolve(pointer)
	schema, _ := d.at(pointer).(map[string]any)
	absent = absent || nullsAbsent(schema)
	switch v := value.(type) {
	case map[string]any:
		known, _ := schema["properties"].(map[string]any)
		for name, member := range v {
			switch {
			case known[name] == nil:
			case member == nil && absent:
				delete(v, name)
			default:
				d.dropNulls(member, pointer+"/properties/"+escape(name), absent)
			}
		}
	case []any:
		for _, item := range v {
			d.dropNulls(item, pointer+"/items", absent)
		}
	}
}
