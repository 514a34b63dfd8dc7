package policy

import (
	"fmt"
	"strings"
	"testing"
)

// values is a ConditionContext for tests: "key=a,b; other=c". A key without
// "=" is known and has no values.
type values map[string][]string

func parseValues(text string) values {
	v := values{}
	for pair := range strings.SplitSeq(text, ";") {
		key, list, ok := strings.Cut(strings.TrimSpace(pair), "=")
		key = strings.ToLower(key)
		switch {
		case key == "":
		case !ok:
			v[key] = nil
		default:
			v[key] = strings.Split(list, ",")
		}
	}
	return v
}

func (v values) Value(key string) ([]string, bool) {
	got, ok := v[key]
	return got, ok
}

const (
	roleARN = "arn:aws:iam::111122223333:role/ci/builder"
	june    = "2026-06-01T00:00:00Z"
)

// conditionCases: a Condition element, the values of the request, whether the
// condition holds.
var conditionCases = []struct {
	condition, request string
	want               bool
}{
	// Strings.
	{`{"StringEquals":{"aws:username":"alice"}}`, "aws:username=alice", true},
	{`{"StringEquals":{"aws:username":"alice"}}`, "aws:username=Alice", false},
	{`{"StringEquals":{"aws:username":"alice"}}`, "", false},
	{`{"StringEquals":{"AWS:UserName":"alice"}}`, "aws:username=alice", true},
	{`{"StringEquals":{"aws:username":["bob","alice"]}}`, "aws:username=alice", true},
	{`{"StringEquals":{"aws:username":"al*"}}`, "aws:username=alice", false},
	{`{"StringEquals":{"aws:username":"alice","aws:userid":"AIDA1"}}`, "aws:username=alice; aws:userid=AIDA1", true},
	{`{"StringEquals":{"aws:username":"alice","aws:userid":"AIDA1"}}`, "aws:username=alice; aws:userid=AIDA2", false},
	{`{"StringEquals":{"aws:username":"alice"},"Bool":{"aws:SecureTransport":true}}`, "aws:username=alice; aws:SecureTransport=false", false},
	{`{"stringequals":{"aws:username":"alice"}}`, "aws:username=alice", true},
	{`{"StringNotEquals":{"aws:username":"alice"}}`, "aws:username=bob", true},
	{`{"StringNotEquals":{"aws:username":"alice"}}`, "aws:username=alice", false},
	{`{"StringNotEquals":{"aws:username":"alice"}}`, "", true},
	{`{"StringNotEquals":{"aws:username":["alice","bob"]}}`, "aws:username=bob", false},
	{`{"StringNotEquals":{"aws:username":["alice","bob"]}}`, "aws:username=carol", true},
	{`{"StringEqualsIgnoreCase":{"aws:username":"ALICE"}}`, "aws:username=alice", true},
	{`{"StringEqualsIgnoreCase":{"aws:username":"ALICE"}}`, "aws:username=bob", false},
	{`{"StringEqualsIgnoreCase":{"aws:username":"ALICE"}}`, "", false},
	{`{"StringNotEqualsIgnoreCase":{"aws:username":"ALICE"}}`, "aws:username=alice", false},
	{`{"StringNotEqualsIgnoreCase":{"aws:username":"ALICE"}}`, "aws:username=bob", true},
	{`{"StringNotEqualsIgnoreCase":{"aws:username":"ALICE"}}`, "", true},
	{`{"StringLike":{"aws:username":"al*"}}`, "aws:username=alice", true},
	{`{"StringLike":{"aws:username":"al?ce"}}`, "aws:username=alice", true},
	{`{"StringLike":{"aws:username":"AL*"}}`, "aws:username=alice", false},
	{`{"StringLike":{"aws:username":"*"}}`, "", false},
	{`{"StringNotLike":{"aws:username":"al*"}}`, "aws:username=alice", false},
	{`{"StringNotLike":{"aws:username":"al*"}}`, "aws:username=bob", true},
	{`{"StringNotLike":{"aws:username":"al*"}}`, "", true},
	{`{"StringNotLike":{"aws:username":["al*","b*"]}}`, "aws:username=bob", false},
	// ARNs.
	{`{"ArnEquals":{"aws:PrincipalArn":"` + roleARN + `"}}`, "aws:PrincipalArn=" + roleARN, true},
	{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}}`, "aws:PrincipalArn=" + roleARN, true},
	{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}`, "aws:PrincipalArn=" + roleARN, false},
	{`{"ArnEquals":{"aws:PrincipalArn":"` + roleARN + `"}}`, "", false},
	{`{"ArnNotEquals":{"aws:PrincipalArn":"` + roleARN + `"}}`, "aws:PrincipalArn=" + roleARN, false},
	{`{"ArnNotEquals":{"aws:PrincipalArn":"` + roleARN + `"}}`, "aws:PrincipalArn=arn:aws:iam::1:root", true},
	{`{"ArnNotEquals":{"aws:PrincipalArn":"` + roleARN + `"}}`, "", true},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::11112222333?:role/ci/*"}}`, "aws:PrincipalArn=" + roleARN, true},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam:*:role/ci/builder"}}`, "aws:PrincipalArn=" + roleARN, false},
	{`{"ArnLike":{"aws:PrincipalArn":"*"}}`, "aws:PrincipalArn=" + roleARN, true},
	{`{"ArnLike":{"aws:PrincipalArn":"*"}}`, "aws:PrincipalArn=alice", false},
	{`{"ArnLike":{"aws:PrincipalArn":"*"}}`, "", false},
	{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}`, "aws:PrincipalArn=" + roleARN, false},
	{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}`, "aws:PrincipalArn=" + roleARN, true},
	{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}`, "", true},
	// Numbers.
	{`{"NumericEquals":{"sts:DurationSeconds":"900"}}`, "sts:DurationSeconds=900", true},
	{`{"NumericEquals":{"sts:DurationSeconds":900}}`, "sts:DurationSeconds=900.0", true},
	{`{"NumericEquals":{"sts:DurationSeconds":900}}`, "sts:DurationSeconds=901", false},
	{`{"NumericEquals":{"sts:DurationSeconds":900}}`, "sts:DurationSeconds=soon", false},
	{`{"NumericEquals":{"sts:DurationSeconds":900}}`, "", false},
	{`{"NumericNotEquals":{"sts:DurationSeconds":900}}`, "sts:DurationSeconds=900", false},
	{`{"NumericNotEquals":{"sts:DurationSeconds":900}}`, "sts:DurationSeconds=0", true},
	{`{"NumericNotEquals":{"sts:DurationSeconds":900}}`, "", true},
	{`{"NumericLessThan":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=3599", true},
	{`{"NumericLessThan":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=3600", false},
	{`{"NumericLessThan":{"sts:DurationSeconds":"3600"}}`, "", false},
	{`{"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=3600", true},
	{`{"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=0", true},
	{`{"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=43200", false},
	{`{"NumericLessThanEquals":{"sts:DurationSeconds":"3600"}}`, "", false},
	{`{"NumericGreaterThan":{"sts:DurationSeconds":"-1.5"}}`, "sts:DurationSeconds=-1", true},
	{`{"NumericGreaterThan":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=3600", false},
	{`{"NumericGreaterThan":{"sts:DurationSeconds":"3600"}}`, "", false},
	{`{"NumericGreaterThanEquals":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=3600", true},
	{`{"NumericGreaterThanEquals":{"sts:DurationSeconds":"3600"}}`, "sts:DurationSeconds=3599", false},
	{`{"NumericGreaterThanEquals":{"sts:DurationSeconds":"3600"}}`, "", false},
	// Dates.
	{`{"DateEquals":{"aws:CurrentTime":"2026-06-01"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateEquals":{"aws:CurrentTime":"2026-06"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateEquals":{"aws:CurrentTime":"2026-06-01T02:00:00+02:00"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateEquals":{"aws:CurrentTime":"2026-06-01T00:00Z"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateEquals":{"aws:CurrentTime":"2026-06-01T00:00:00.5Z"}}`, "aws:CurrentTime=" + june, false},
	{`{"DateEquals":{"aws:CurrentTime":1780272000}}`, "aws:CurrentTime=" + june, true},
	{`{"DateEquals":{"aws:CurrentTime":"2026-06-01"}}`, "", false},
	{`{"DateEquals":{"aws:EpochTime":"2026-06-01T00:00:00Z"}}`, "aws:EpochTime=1780272000", true},
	{`{"DateNotEquals":{"aws:CurrentTime":"2026-06-01"}}`, "aws:CurrentTime=" + june, false},
	{`{"DateNotEquals":{"aws:CurrentTime":"2026-06-02"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateNotEquals":{"aws:CurrentTime":"2026-06-02"}}`, "", true},
	{`{"DateLessThan":{"aws:CurrentTime":"2026-06-02"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateLessThan":{"aws:CurrentTime":"2026-06-01"}}`, "aws:CurrentTime=" + june, false},
	{`{"DateLessThan":{"aws:CurrentTime":"2026-06-01"}}`, "", false},
	{`{"DateLessThanEquals":{"aws:CurrentTime":"2026-06-01"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateLessThanEquals":{"aws:CurrentTime":"2026-05-31"}}`, "aws:CurrentTime=" + june, false},
	{`{"DateLessThanEquals":{"aws:CurrentTime":"2026-05-31"}}`, "aws:CurrentTime=someday", false},
	{`{"DateLessThanEquals":{"aws:CurrentTime":"2026-05-31"}}`, "", false},
	{`{"DateGreaterThan":{"aws:CurrentTime":"2026"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateGreaterThan":{"aws:CurrentTime":"2026-06-01"}}`, "aws:CurrentTime=" + june, false},
	{`{"DateGreaterThan":{"aws:CurrentTime":"2026-06-01"}}`, "", false},
	{`{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-06-01"}}`, "aws:CurrentTime=" + june, true},
	{`{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-06-01T00:00:01Z"}}`, "aws:CurrentTime=" + june, false},
	{`{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-06-01"}}`, "", false},
	// Booleans.
	{`{"Bool":{"aws:SecureTransport":"true"}}`, "aws:SecureTransport=true", true},
	{`{"Bool":{"aws:SecureTransport":false}}`, "aws:SecureTransport=false", true},
	{`{"Bool":{"aws:SecureTransport":"TRUE"}}`, "aws:SecureTransport=True", true},
	{`{"Bool":{"aws:SecureTransport":"true"}}`, "aws:SecureTransport=false", false},
	{`{"Bool":{"aws:SecureTransport":"false"}}`, "aws:SecureTransport=perhaps", false},
	{`{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`, "", false},
	// Bytes: "aGk=" is "hi".
	{`{"BinaryEquals":{"app:Key":"aGk="}}`, "app:Key=hi", true},
	{`{"BinaryEquals":{"app:Key":"aGk="}}`, "app:Key=ho", false},
	{`{"BinaryEquals":{"app:Key":"aGk="}}`, "", false},
	// Addresses.
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=203.0.113.9", true},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=203.0.114.9", false},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.9"}}`, "aws:SourceIp=203.0.113.9", true},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.9"}}`, "aws:SourceIp=203.0.113.8", false},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.77/24"}}`, "aws:SourceIp=203.0.113.9", true},
	{`{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]}}`, "aws:SourceIp=2001:db8::1", true},
	{`{"IpAddress":{"aws:SourceIp":"2001:db8::/32"}}`, "aws:SourceIp=2001:db9::1", false},
	{`{"IpAddress":{"aws:SourceIp":"2001:DB8:0::1"}}`, "aws:SourceIp=2001:db8::1", true},
	{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=::ffff:203.0.113.9", true},
	{`{"IpAddress":{"aws:SourceIp":"::ffff:203.0.113.0/120"}}`, "aws:SourceIp=203.0.113.9", true},
	{`{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, "aws:SourceIp=2001:db8::1", false},
	{`{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, "aws:SourceIp=somewhere", false},
	{`{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, "", false},
	{`{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=203.0.113.9", false},
	{`{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=203.0.114.9", true},
	{`{"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","203.0.114.0/24"]}}`, "aws:SourceIp=203.0.114.9", false},
	{`{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "", true},
	// Null asks for the key.
	{`{"Null":{"aws:ResourceTag/team":"true"}}`, "", true},
	{`{"Null":{"aws:ResourceTag/team":"true"}}`, "aws:ResourceTag/team=web", false},
	{`{"Null":{"aws:ResourceTag/team":"false"}}`, "aws:ResourceTag/team=web", true},
	{`{"Null":{"aws:ResourceTag/team":false}}`, "", false},
	{`{"Null":{"aws:TagKeys":"true"}}`, "aws:TagKeys", true},
	{`{"Null":{"aws:TagKeys":["true","false"]}}`, "aws:TagKeys=a", true},
	// IfExists.
	{`{"StringEqualsIfExists":{"aws:username":"alice"}}`, "", true},
	{`{"StringEqualsIfExists":{"aws:username":"alice"}}`, "aws:username=alice", true},
	{`{"StringEqualsIfExists":{"aws:username":"alice"}}`, "aws:username=bob", false},
	{`{"StringNotEqualsIfExists":{"aws:username":"alice"}}`, "", true},
	{`{"StringNotEqualsIfExists":{"aws:username":"alice"}}`, "aws:username=alice", false},
	{`{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`, "", true},
	{`{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`, "aws:MultiFactorAuthPresent=true", false},
	{`{"IpAddressIfExists":{"aws:SourceIp":"10.0.0.0/8"}}`, "", true},
	{`{"IpAddressIfExists":{"aws:SourceIp":"10.0.0.0/8"}}`, "aws:SourceIp=192.0.2.1", false},
	{`{"NumericLessThanIfExists":{"sts:DurationSeconds":"10"}}`, "", true},
	{`{"DateLessThanIfExists":{"aws:CurrentTime":"2026"}}`, "", true},
	{`{"ArnLikeIfExists":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}`, "", true},
	{`{"BinaryEqualsIfExists":{"app:Key":"aGk="}}`, "", true},
	// Set prefixes.
	{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=cost,secret", true},
	{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=secret", false},
	{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys", false},
	{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "", false},
	{`{"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=cost,team", true},
	{`{"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=cost,secret", false},
	{`{"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys", true},
	{`{"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}`, "", true},
	{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=cost,secret", true},
	{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=cost,team", false},
	{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["team","cost"]}}`, "", false},
	{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=secret,other", true},
	{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["team","cost"]}}`, "aws:TagKeys=secret,cost", false},
	{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["team","cost"]}}`, "", true},
	{`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-1/r-1/*"}}`, "aws:PrincipalOrgPaths=o-2/x,o-1/r-1/ou-1", true},
	{`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-1/r-1/*"}}`, "aws:PrincipalOrgPaths=o-2/x", false},
	{`{"foranyvalue:stringequals":{"aws:TagKeys":"a"}}`, "aws:TagKeys=a", true},
	{`{"ForAnyValue:StringEqualsIfExists":{"aws:TagKeys":"a"}}`, "", false},
	{`{"ForAllValues:StringEqualsIfExists":{"aws:TagKeys":"a"}}`, "", true},
	{`{"ForAllValues:IpAddress":{"app:Hops":"10.0.0.0/8"}}`, "app:Hops=10.1.1.1,10.2.2.2", true},
	{`{"ForAllValues:NumericLessThan":{"app:Sizes":"10"}}`, "app:Sizes=1,20", false},
	// A key of many values without a set prefix.
	{`{"StringEquals":{"aws:TagKeys":"a"}}`, "aws:TagKeys=a,b", true},
	{`{"StringNotEquals":{"aws:TagKeys":"a"}}`, "aws:TagKeys=a,b", false},
	// Policy variables.
	{`{"StringEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`, "aws:ResourceTag/owner=alice; aws:username=alice", true},
	{`{"StringEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`, "aws:ResourceTag/owner=alice; aws:username=bob", false},
	{`{"StringEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`, "aws:ResourceTag/owner=${aws:username}", false},
	{`{"StringEquals":{"aws:ResourceTag/owner":["${aws:username}","all"]}}`, "aws:ResourceTag/owner=all", true},
	{`{"StringNotEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`, "aws:ResourceTag/owner=alice; aws:username=bob", true},
	{`{"StringNotEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`, "aws:ResourceTag/owner=alice", true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/Team, 'none'}"}}`, "aws:ResourceTag/team=none", true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/Team, 'none'}"}}`, "aws:ResourceTag/team=web; aws:principaltag/team=web", true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/Team, 'a}b'}-x"}}`, "aws:ResourceTag/team=a}b-x", true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/Team,''}"}}`, "aws:ResourceTag/team=", true},
	{`{"StringEquals":{"aws:ResourceTag/team":"${aws:TagKeys}"}}`, "aws:ResourceTag/team=a; aws:TagKeys=a,b", false},
	{`{"StringLike":{"aws:ResourceTag/team":"${aws:username}-*"}}`, "aws:ResourceTag/team=al-1; aws:username=al", true},
	{`{"StringLike":{"aws:ResourceTag/team":"${aws:username}"}}`, "aws:ResourceTag/team=alice; aws:username=*", false},
	{`{"StringLike":{"aws:ResourceTag/team":"a${*}b*"}}`, "aws:ResourceTag/team=a*bc", true},
	{`{"StringLike":{"aws:ResourceTag/team":"a${*}b*"}}`, "aws:ResourceTag/team=axbc", false},
	{`{"StringLike":{"aws:ResourceTag/team":"a${?}"}}`, "aws:ResourceTag/team=a?", true},
	{`{"StringLike":{"aws:ResourceTag/team":"a${?}"}}`, "aws:ResourceTag/team=ab", false},
	{`{"StringEquals":{"aws:ResourceTag/team":"${$}{x}"}}`, "aws:ResourceTag/team=${x}", true},
	{`{"StringEquals":{"aws:ResourceTag/team":"$5 ${*}"}}`, "aws:ResourceTag/team=$5 *", true},
	{`{"StringEqualsIgnoreCase":{"aws:ResourceTag/owner":"${aws:username}"}}`, "aws:ResourceTag/owner=ALICE; aws:username=alice", true},
	{`{"ArnLike":{"aws:SourceArn":"arn:aws:iam::${aws:PrincipalAccount}:role/*"}}`, "aws:SourceArn=" + roleARN + "; aws:PrincipalAccount=111122223333", true},
	{`{"ArnLike":{"aws:SourceArn":"arn:aws:iam::${aws:PrincipalAccount}:role/*"}}`, "aws:SourceArn=" + roleARN + "; aws:PrincipalAccount=1", false},
	{`{"ArnLike":{"aws:SourceArn":"arn:aws:iam::${aws:PrincipalAccount}:role/*"}}`, "aws:SourceArn=alice; aws:PrincipalAccount=1", false},
	{`{"ArnLike":{"aws:SourceArn":"arn:aws:iam:${aws:username}:1:role/*"}}`, "aws:SourceArn=arn:aws:iam::1:1:role/x; aws:username=:1", false},
	{`{"ArnNotLike":{"aws:SourceArn":"arn:aws:iam::${aws:PrincipalAccount}:role/*"}}`, "aws:SourceArn=" + roleARN, true},
	{`{"ArnEquals":{"aws:SourceArn":"${aws:PrincipalArn}"}}`, "aws:SourceArn=" + roleARN + "; aws:PrincipalArn=" + roleARN, true},
	{`{"ArnEquals":{"aws:SourceArn":"${aws:PrincipalArn}"}}`, "aws:SourceArn=" + roleARN, false},
}

func TestCondition_HoldsAsAWSDocuments(t *testing.T) {
	for _, tt := range conditionCases {
		got, err := conditionHolds(Version2012, tt.condition, tt.request)
		if err != nil {
			t.Errorf("%s: %v", tt.condition, err)
			continue
		}
		if got != tt.want {
			t.Errorf("%s with %q: got %v, want %v", tt.condition, tt.request, got, tt.want)
		}
	}
}

func TestCondition_OldVersionHasNoVariables(t *testing.T) {
	for _, version := range []string{"", Version2008} {
		got, err := conditionHolds(version, `{"StringEquals":{"app:Text":"${aws:username}"}}`, "app:Text=${aws:username}; aws:username=alice")
		if err != nil || !got {
			t.Errorf("version %q: got %v, %v, want the variable as plain text", version, got, err)
		}
	}
}

// Every row of the operator table has a case that holds, one that does not,
// and one for a request without the key.
func TestConditionCases_CoverEveryOperator(t *testing.T) {
	type seen struct{ holds, fails, missing bool }
	covered := map[string]seen{}
	for _, tt := range conditionCases {
		for i := range operators {
			name := operators[i].name
			if !strings.HasPrefix(tt.condition, `{"`+name+`"`) {
				continue
			}
			s := covered[name]
			s.holds = s.holds || tt.want
			s.fails = s.fails || !tt.want
			s.missing = s.missing || tt.request == ""
			covered[name] = s
		}
	}
	for i := range operators {
		if got := covered[operators[i].name]; got != (seen{true, true, true}) {
			t.Errorf("%s: cases %+v", operators[i].name, got)
		}
	}
}

func conditionHolds(version, condition, request string) (bool, error) {
	text := fmt.Sprintf(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":%s}}`, condition)
	if version != "" {
		text = fmt.Sprintf(`{"Version":%q,%s`, version, text[1:])
	}
	d, err := Parse([]byte(text))
	if err != nil {
		return false, err
	}
	return Evaluate(Request{
		Principal:       Principal{Type: User, Account: "111122223333"},
		Action:          "codeartifact:ReadFromRepository",
		Resource:        "*",
		ResourceAccount: "111122223333",
		Context:         parseValues(request),
	}, Policies{Identity: []*Document{d}}).Allowed, nil
}
