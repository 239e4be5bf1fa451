"""The functions of the template language.

Expected values are those of Azure's documentation of each function, and of Bicep's own tests of its
evaluator (`uniqueString`, `guid`, ordering, formatting).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.localcloud.templates.environment import Scope
from orchestrator.localcloud.templates.errors import ExpressionError
from tests.unit.templates.world import ENVIRONMENT, GROUP, S, plan, template, value

CASES: list[tuple[str, Any]] = [
    # hashes, bit for bit
    ("uniqueString('snap','crackle','pop')", "byghxckddilkc"),
    ("guid('foo','bar','baz')", "2ed86837-7c7c-5eaa-9864-dd077fd19b0d"),
    # strings
    ("base64(' Fizz ')", "IEZpenog"),
    ("base64ToString('IEZpenog')", " Fizz "),
    ("base64ToJson(base64('{\"a\":1}')).a", 1),
    ("dataUri(' Fizz ')", "data:text/plain;charset=utf-8;base64,IEZpenog"),
    ("dataUriToString('data:text/plain;charset=utf-8;base64,IEZpenog')", " Fizz "),
    ("uriComponent(' Fizz ')", "%20Fizz%20"),
    ("uriComponentToString('%20Fizz%20')", " Fizz "),
    ("replace('foot','t','d')", "food"),
    ("padLeft('00',5,' ')", "   00"),
    ("padLeft(7,3,'0')", "007"),
    ("uri('https://github.com/another/repo','/Azure/bicep')", "https://github.com/Azure/bicep"),
    ("uri('http://contoso.org/firstpath','myscript.sh')", "http://contoso.org/myscript.sh"),
    ("startsWith('abcdef','AB')", True),
    ("endsWith('abcdef','EF')", True),
    ("indexOf('FOOBAR','bar')", 3),
    ("lastIndexOf('food','o')", 2),
    ("contains('FOOBAR','bar')", False),
    ("split('fizz,buzz;pop',createArray(',',';'))", ["fizz", "buzz", "pop"]),
    ("join(createArray('abc',123,true()),'/')", "abc/123/True"),
    ("string(createObject('a',1))", '{"a":1}'),
    ("string(true())", "True"),
    ("toUpper(trim(' a '))", "A"),
    ("substring('foot',1,2)", "oo"),
    ("take('foot',9)", "foot"),
    ("'it''s'", "it's"),
    ("concat('a',1,false())", "a1False"),
    # .NET formats
    ("format('{0}/{1}/{2}/{3}',1,2,3,true())", "1/2/3/True"),
    ("format('{0}, {1}. {2:N0}','Hello','User',8175133)", "Hello, User. 8,175,133"),
    ("format('{0,6}|{0,-6}|{{}}','ab')", "    ab|ab    |{}"),
    ("format('{0:D3} {0:X} {0:00.0} {0:#,##0}',1234)", "1234 4D2 1234.0 1,234"),
    ("format('{0}',createObject('a','b','!c',2))", "{'a':'b','!c':2}"),
    ("format('{0}',createArray(true(),2893,'abc'))", "[true,2893,'abc']"),
    # arrays and objects
    ("contains(createArray('FOO'),'foo')", False),
    ("contains(createObject('Foo',1),'foo')", True),
    ("intersection(createArray(1,2,3),createArray(3,1))", [1, 3]),
    ("intersection(createObject('a',1,'b',2),createObject('a',1,'b',3))", {"a": 1}),
    ("union(createObject('a',createObject('x',1)),createObject('a',createObject('y',2)))",
     {"a": {"x": 1, "y": 2}}),
    ("shallowMerge(createArray(createObject('a',createObject('x',1)),createObject('a',2)))",
     {"a": 2}),
    ("union(createArray(1,2),createArray(2,3))", [1, 2, 3]),
    ("flatten(createArray(createArray(0,1),createArray(2)))", [0, 1, 2]),
    ("first(createArray())", None),
    ("last('Fizz')", "z"),
    ("indexFromEnd(createArray('a','b','c'),1)", "c"),
    ("tryIndexFromEnd(createArray('a'),4)", None),
    ("tryGet(createObject('a',createObject('b',1)),'a','b')", 1),
    ("tryGet(createObject('a',1),'x','y')", None),
    ("tryGet(createArray(1),4)", None),
    ("objectKeys(createObject('b',1,'a',2))", ["a", "b"]),
    ("map(items(createObject('ghi',1,'ABC',2,'abc',3,'123',4)),lambda('i',lambdaVariables('i').key))",
     ["123", "abc", "ABC", "ghi"]),
    ("createObject('Name',7).name", 7),
    ("json('{\"a\": [1, 2]}').a[1]", 2),
    ("json('.5')", 0.5),
    ("json('[-.25, 1.5, \".5\"]')", [-0.25, 1.5, ".5"]),
    ("array(1)", [1]),
    ("empty(null())", True),
    ("length(createObject('a',1))", 1),
    ("range(5,3)", [5, 6, 7]),
    # numbers
    ("div(-7,2)", -3),
    ("mod(-7,3)", -1),
    ("min(createArray(10,4,1,6))", 1),
    ("max(10,4,1,6)", 10),
    ("int('42')", 42),
    # logic
    ("if(true(),1,fail('no'))", 1),
    ("or(true(),equals(1,fail('no')))", True),
    ("and(false(),equals(1,fail('no')))", False),
    ("coalesce(null(),'x',fail('no'))", "x"),
    ("equals('A','a')", False),
    ("bool('True')", True),
    ("less('abc','abd')", True),
    ("greaterOrEquals(2,2)", True),
    # dates
    ("dateTimeAdd('2020-04-07 14:53:14Z','-P9D','yyyy-MM-dd')", "2020-03-29"),
    ("dateTimeAdd('2020-01-31T00:00:00Z','P1M','u')", "2020-02-29 00:00:00Z"),
    ("dateTimeAdd(dateTimeFromEpoch(1680224438),'P1D')", "2023-04-01T01:00:38Z"),
    ("dateTimeAdd('20240131T000000Z','-P1D')", "20240130T000000Z"),
    ("dateTimeAdd('2020-04-07 14:53:14Z','P3Y')", "4/7/2023 2:53:14 PM"),
    ("dateTimeFromEpoch(1683040573)", "2023-05-02T15:16:13Z"),
    ("dateTimeToEpoch('2023-05-02T15:16:13Z')", 1683040573),
    # lambdas
    ("filter(range(0,4),lambda('i',equals(mod(lambdaVariables('i'),2),0)))", [0, 2]),
    ("map(createArray('a','b'),lambda('x','i',concat(lambdaVariables('x'),lambdaVariables('i'))))",
     ["a0", "b1"]),
    ("reduce(range(1,5),1,lambda('a','b',mul(lambdaVariables('a'),lambdaVariables('b'))))", 120),
    ("sort(createArray(8,-13,5),lambda('x','y',less(lambdaVariables('x'),lambdaVariables('y'))))",
     [-13, 5, 8]),
    ("toObject(createArray(123,456),lambda('i',string(div(lambdaVariables('i'),100))))",
     {"1": 123, "4": 456}),
    ("groupBy(createArray('ab','cd','ae'),lambda('x',take(lambdaVariables('x'),1)))",
     {"a": ["ab", "ae"], "c": ["cd"]}),
    ("groupBy(createArray('ab','ae'),lambda('x',take(lambdaVariables('x'),1)),"
     "lambda('x',last(lambdaVariables('x'))))", {"a": ["b", "e"]}),
    ("like('abcdef','a*C*')", True),
    ("mapValues(createObject('a',1),lambda('v',add(lambdaVariables('v'),1)))", {"a": 2}),
    # CIDR
    ("parseCidr('10.144.0.0/20')", {
        "network": "10.144.0.0", "netmask": "255.255.240.0", "broadcast": "10.144.15.255",
        "firstUsable": "10.144.0.1", "lastUsable": "10.144.15.254", "cidr": 20}),
    ("cidrSubnet('10.144.0.0/20',24,3)", "10.144.3.0/24"),
    ("cidrHost('10.144.3.0/24',0)", "10.144.3.1"),
    ("cidrSubnet('192.168.1.0',24,0)", "192.168.1.0/24"),
    ("cidrSubnet('172.16.0.0',24,2)", "172.16.2.0/24"),
    ("parseCidr('10.0.0.0').cidr", 8),
    # ids
    ("resourceId('Contoso.Lab/a/b','x','y')", f"{GROUP}/providers/Contoso.Lab/a/x/b/y"),
    ("resourceId('other','Contoso.Lab/a','x')",
     f"/subscriptions/{S}/resourceGroups/other/providers/Contoso.Lab/a/x"),
    ("subscriptionResourceId('Contoso.Lab/a','x')",
     f"/subscriptions/{S}/providers/Contoso.Lab/a/x"),
    ("subscriptionResourceId('Microsoft.Resources/resourceGroups','x')",
     f"/subscriptions/{S}/resourceGroups/x"),
    ("tenantResourceId('Contoso.Lab/a','x')", "/providers/Contoso.Lab/a/x"),
    ("managementGroupResourceId('mg','Contoso.Lab/a','x')",
     "/providers/Microsoft.Management/managementGroups/mg/providers/Contoso.Lab/a/x"),
    ("extensionResourceId(resourceId('Contoso.Lab/a','x'),'Contoso.Ext/e','y')",
     f"{GROUP}/providers/Contoso.Lab/a/x/providers/Contoso.Ext/e/y"),
    # surroundings
    ("resourceGroup().location", "westeurope"),
    ("subscription().subscriptionId", S),
    ("deployment().name", "d"),
    ("environment().suffixes.storage", "core.windows.net"),
    ("pickZones('Microsoft.Compute','virtualMachines','westus2',2)", ["1", "2"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_function(expression: str, expected: Any) -> None:
    found = value(f"[{expression}]")
    assert found == expected
    assert type(found) is type(expected)


REFUSED = [
    ("nope(1)", "The template function 'nope' is not valid"),
    ("concat(createArray(1),'a')", "either arrays only or texts only"),
    ("div(1,0)", "divides by zero"),
    ("substring('abc',2,5)", "must refer to a location within the string"),
    ("createObject('a',1).b", "property 'b' doesn't exist, available properties are 'a'"),
    ("createArray(1)[3]", "array index '3' is out of bounds"),
    ("utcNow()", "default value of a parameter only"),
    ("newGuid()", "default value of a parameter only"),
    ("copyIndex()", "can only be used in a resource, property, variable or output with copy"),
    ("parameters('x')", "The template parameter 'x' is not found"),
    ("resourceId('Contoso.Lab/a/b','x')", "requires '2' resource name argument(s)"),
    ("fail('my words')", "my words"),
    ("toLower(1)", "expects its parameter to be of type 'String'"),
    ("equals(1)", "function requires 2 arguments while '1' were provided"),
    ("concat('a'", "ends too early"),
    ("add(9223372036854775807,1)", "64 bits"),
]


@pytest.mark.parametrize(("expression", "words"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_refusal_says_what_is_wrong(expression: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(f"[{expression}]")
    assert words in caught.value.message


def test_a_text_in_two_brackets_is_the_text() -> None:
    assert value("[[no expression]") == "[no expression]"
    assert value("[no expression") == "[no expression"


def test_a_group_has_one_id_whichever_function_a_template_of_a_subscription_asks() -> None:
    made = plan(template(), replace(ENVIRONMENT, scope=Scope(S)))
    group = "'Microsoft.Resources/resourceGroups','x'"
    asked = [
        f"[resourceId({group})]",
        f"[resourceId('{S}',{group})]",
        f"[subscriptionResourceId({group})]",
    ]
    assert made.evaluation.resolve(asked) == [f"/subscriptions/{S}/resourceGroups/x"] * 3
    other = "[resourceId('Contoso.Lab/a','x')]"
    assert made.evaluation.resolve(other) == f"/subscriptions/{S}/providers/Contoso.Lab/a/x"
