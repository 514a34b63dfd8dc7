package iamapi

import "packhouse/internal/restjson"

const (
	namePattern = `[\w+=,.@-]+`
	pathPattern = `/|/[\x{21}-\x{7E}]+/`
)

// shapes are the constraints of the service models of IAM and STS.
func shapes() restjson.Shapes {
	return restjson.Shapes{
		"UserName":           {Min: 1, Max: 64, Pattern: namePattern},
		"ExistingUserName":   {Min: 1, Max: 128, Pattern: namePattern},
		"GroupName":          {Min: 1, Max: 128, Pattern: namePattern},
		"RoleName":           {Min: 1, Max: 64, Pattern: namePattern},
		"PolicyName":         {Min: 1, Max: 128, Pattern: namePattern},
		"Path":               {Min: 1, Max: 512, Pattern: pathPattern},
		"PathPrefix":         {Min: 1, Max: 512, Pattern: `/[\x{21}-\x{7E}]*`},
		"Arn":                {Min: 20, Max: 2048},
		"PolicyDocument":     {Min: 1, Max: 131072, Pattern: `[\t\n\r\x{20}-\x{FF}]+`},
		"PolicyDescription":  {Max: 1000},
		"PolicyVersion":      {Pattern: `v[1-9][0-9]{0,9}(\.[A-Za-z0-9-]*)?`},
		"PolicyScope":        {Enum: []string{"All", "AWS", "Local"}},
		"PolicyUsage":        {Enum: []string{"PermissionsPolicy", "PermissionsBoundary"}},
		"AccessKeyID":        {Min: 16, Max: 128, Pattern: `\w+`},
		"Status":             {Enum: []string{"Active", "Inactive"}},
		"Marker":             {Min: 1, Max: 8192},
		"MaxItems":           {Min: 1, Max: 1000},
		"TagKey":             {Min: 1, Max: 128, Pattern: `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`},
		"TagValue":           {Max: 256, Pattern: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`},
		"Tags":               {Max: maxTags},
		"WebIdentityToken":   {Min: 4, Max: 20000},
		"ProviderURL":        {Min: 1, Max: 255},
		"ClientID":           {Min: 1, Max: 255},
		"ClientIDs":          {Max: maxClientIDs, Member: "ClientID"},
		"Thumbprint":         {Min: 40, Max: 40},
		"Thumbprints":        {Member: "Thumbprint"},
		"TagKeys":            {Max: maxTags, Member: "TagKey"},
		"Description":        {Max: 1000},
		"MaxSessionDuration": {Min: 3600, Max: 43200},
		"RoleSessionName":    {Min: 2, Max: 64, Pattern: `[\w+=,.@-]*`},
		"RoleDuration":       {Min: 900, Max: 43200},
		"UserDuration":       {Min: 900, Max: 129600},
		"SessionPolicy":      {Min: 1, Max: 2048, Pattern: `[\t\n\r\x{20}-\x{FF}]+`},
		"SessionPolicies":    {Max: 10},
		"PolicyDocuments":    {Member: "PolicyDocument"},
		"ActionName":         {Min: 3, Max: 128},
		"ActionNames":        {Min: 1, Member: "ActionName"},
		"ResourceName":       {Min: 1, Max: 2048},
		"ResourceNames":      {Member: "ResourceName"},
		"ContextKeyName":     {Min: 5, Max: 256},
		"ContextKeyType": {Enum: []string{
			"string", "stringList", "numeric", "numericList", "boolean", "booleanList", "ip", "ipList", "binary", "binaryList", "date", "dateList",
		}},
		"ResourceHandlingOption": {Min: 1, Max: 64},
		"ExternalID":             {Min: 2, Max: 1224, Pattern: `[\w+=,.@:/-]*`},
	}
}
