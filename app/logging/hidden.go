package logging

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// shortestHidden is the length in bytes from which a value is masked everywhere; shorter ones are part of ordinary words, and
// are masked in quotes only.
const shortestHidden = 6

// Hidden masks known secret values, also in the encodings of JSON, Go and Kubernetes Secrets. The zero Hidden masks none.
type Hidden struct {
	values   []string
	replacer *strings.Replacer
}

// Hide returns a Hidden that masks the values.
func Hide(values ...string) Hidden { return Hidden{}.and(values) }

// Text returns an external text without the values, and redacted by Redact.
func (h Hidden) Text(text string) string { return h.Values(Redact(text)) }

// Values returns a text with the values masked.
func (h Hidden) Values(text string) string {
	if h.replacer == nil {
		return text
	}
	return h.replacer.Replace(text)
}

// and returns a Hidden that masks further values, too.
func (h Hidden) and(values []string) Hidden {
	all := slices.Concat(h.values, values)
	slices.Sort(all)
	all = slices.DeleteFunc(slices.Compact(all), func(v string) bool { return v == "" })
	if len(all) == 0 {
		return Hidden{}
	}
	var forms [][2]string
	for _, v := range all {
		if len(v) < shortestHidden {
			forms = append(forms, [2]string{`"` + v + `"`, `"` + mask + `"`}, [2]string{"'" + v + "'", "'" + mask + "'"})
			continue
		}
		for _, form := range encodings(v) {
			forms = append(forms, [2]string{form, mask})
		}
	}
	// The longer ones come first: one may be the beginning of another.
	slices.SortStableFunc(forms, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form[0], form[1])
	}
	return Hidden{values: all, replacer: strings.NewReplacer(pairs...)}
}

// encodings returns a value in the encodings in which it occurs in texts.
func encodings(value string) []string {
	forms := []string{value, base64.StdEncoding.EncodeToString([]byte(value))}
	if encoded, err := json.Marshal(value); err == nil {
		forms = append(forms, string(encoded[1:len(encoded)-1]))
	}
	quoted := strconv.Quote(value)
	forms = append(forms, quoted[1:len(quoted)-1])
	slices.Sort(forms)
	return slices.Compact(forms)
}
