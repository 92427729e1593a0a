package job

import "encoding/json"

// Hidden returns the texts within Info that are not within Erased: the values that a log must not hold. It returns none for
// payloads that are no Secret.
func (p Prepared) SecretValues() []string {
	if p.Erased == nil {
		return nil
	}
	shown, all := map[string]bool{}, map[string]bool{}
	collectJSONStrings(p.Erased, shown)
	collectJSONStrings(p.Info, all)
	var hidden []string
	for text := range all {
		if !shown[text] {
			hidden = append(hidden, text)
		}
	}
	return hidden
}

// texts collects the texts of a JSON value.
func collectJSONStrings(encoded []byte, into map[string]bool) {
	var value any
	if json.Unmarshal(encoded, &value) != nil {
		return // nothing can be told of what was not encoded here
	}
	collectStrings(value, into)
}

func collectStrings(value any, into map[string]bool) {
	switch v := value.(type) {
	case string:
		into[v] = true
	case []any:
		for _, one := range v {
			collectStrings(one, into)
		}
	case map[string]any:
		for _, one := range v {
			collectStrings(one, into)
		}
	}
}
