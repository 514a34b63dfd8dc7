package format

import "strings"

// Accept chooses the media type a client likes best (RFC 9110 section 12.5.1)
// and gives its index in offers. The earlier offer wins a tie; where nothing
// matches, or nothing was asked, the first offer is as good as any. It does not
// allocate.
func Accept(header []string, offers ...string) int {
	best, bestQ := 0, 0
	for i, offer := range offers {
		if q := quality(header, offer); q > bestQ {
			best, bestQ = i, q
		}
	}
	return best
}

// quality is the weight, in thousandths, of the most specific range that
// covers offer.
func quality(header []string, offer string) int {
	q, specificity := 0, 0
	major, _, _ := strings.Cut(offer, "/")
	for _, line := range header {
		for item := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(item, ";")
			media = strings.TrimSpace(media)
			s := 0
			switch {
			case strings.EqualFold(media, offer):
				s = 3
			case len(media) == len(major)+2 && strings.HasSuffix(media, "/*") && strings.EqualFold(media[:len(major)], major):
				s = 2
			case media == "*/*":
				s = 1
			}
			if s > specificity {
				specificity, q = s, weight(params)
			}
		}
	}
	return q
}

func weight(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if name = strings.TrimSpace(name); name != "q" && name != "Q" {
			continue
		}
		value = strings.TrimSpace(value)
		whole, fraction, _ := strings.Cut(value, ".")
		if whole == "1" {
			return 1000
		}
		if whole != "0" {
			return 0
		}
		q, unit := 0, 100
		for i := 0; i < len(fraction) && i < 3; i++ {
			if fraction[i] < '0' || fraction[i] > '9' {
				return 0
			}
			q += int(fraction[i]-'0') * unit
			unit /= 10
		}
		return q
	}
	return 1000
}
